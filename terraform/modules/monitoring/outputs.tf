output "alerts" {
  description = "Alerts by the name of their runbook."
  value       = { for name, policy in google_monitoring_alert_policy.this : name => policy.name }
}

output "dashboard" {
  description = "Full name of the dashboard."
  value       = google_monitoring_dashboard.this.id
}
