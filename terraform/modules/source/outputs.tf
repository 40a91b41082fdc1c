output "build" {
  description = "What the function module needs to build: bucket, service account, repository. Known once the builder's grants are in effect."
  value = {
    bucket          = google_storage_bucket.source.name
    service_account = time_sleep.build_may_start.triggers["service_account"]
    repository      = google_artifact_registry_repository.images.id
  }
}

output "build_account" {
  description = "Full name of the service account that builds."
  value       = google_service_account.build.name
}
