output "id" {
  description = "projects/P/secrets/NAME: what functions are told."
  value       = google_secret_manager_secret.this.id
}

output "secret_id" {
  description = "Short name, as gcloud takes it."
  value       = google_secret_manager_secret.this.secret_id
}
