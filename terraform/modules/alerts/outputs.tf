output "names" {
  description = "Full names of the alert policies, by the name of their runbook."
  value       = { for name, policy in google_monitoring_alert_policy.this : name => policy.name }
}
