output "id" {
  description = "projects/P/secrets/NAME: what functions are told. Known once its readers may read it."
  value       = google_secret_manager_secret.this.id

  depends_on = [
    google_secret_manager_secret_iam_member.readers,
    google_secret_manager_secret_iam_member.readers_see_versions,
  ]
}

output "secret_id" {
  description = "Short name, as gcloud takes it."
  value       = google_secret_manager_secret.this.secret_id
}
