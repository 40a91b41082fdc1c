output "alerts" {
  description = "Alerts by the name of their runbook."
  value       = merge(module.alerts.names, module.log_alerts.names)
}

output "dashboard" {
  description = "Full name of the dashboard."
  value       = google_monitoring_dashboard.this.id
}
