locals {
  apis = toset(concat([
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
    ], var.github_deploy == null ? [] : [
    "iamcredentials.googleapis.com",
    "sts.googleapis.com",
  ]))
}

# Left on when this is destroyed: other things in the project may need them by then.
resource "google_project_service" "this" {
  for_each = local.apis

  project            = var.project_id
  service            = each.value
  disable_on_destroy = false
}

# No depends_on here: a data source that waits for a change is read at apply, and would make every grant below look replaced.
data "google_project" "this" {
  project_id = var.project_id
}

locals {
  # Google's own identity inside Pub/Sub. It signs the tokens of pushes and forwards messages that ran out of attempts.
  pubsub_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"

  # Google's own identity inside Secret Manager. It publishes rotation reminders.
  secret_manager_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-secretmanager.iam.gserviceaccount.com"
}
