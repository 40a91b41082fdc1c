output "deploy_account" {
  description = "Email of the service account that the deploy workflow applies as."
  value       = google_service_account.deploy.email
}

output "deploy_provider" {
  description = "Full name of the identity provider for applying, as google-github-actions/auth takes it."
  value       = google_iam_workload_identity_pool_provider.deploy.name
}

output "plan_account" {
  description = "Email of the service account that the deploy workflow plans as."
  value       = google_service_account.plan.email
}

output "plan_provider" {
  description = "Full name of the identity provider for planning."
  value       = google_iam_workload_identity_pool_provider.plan.name
}
