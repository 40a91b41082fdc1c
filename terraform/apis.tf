locals {
  apis = toset(concat([
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
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

# The provider waits until an API is listed as enabled, but its servers may refuse calls for some minutes more: "If you enabled this API
# recently, wait a few minutes for the action to propagate to our systems and retry."
# https://cloud.google.com/service-usage/docs/troubleshooting
resource "time_sleep" "apis_are_on" {
  create_duration = "60s"

  triggers = {
    project = var.project_id
    apis    = join(" ", sort(local.apis))
  }

  depends_on = [google_project_service.this]
}

# No depends_on here: a data source that waits for a change is read at apply, and would make every grant below look replaced.
data "google_project" "this" {
  project_id = var.project_id

  lifecycle {
    precondition {
      condition     = length(local.placeholders) == 0
      error_message = "Put your own values in place of these, in environments/${var.environment}.tfvars or where you set them: ${join("; ", local.placeholders)}"
    }
  }
}

locals {
  # Whoever takes the project's id from here waits for its APIs. A value, not depends_on on modules: the id is known at plan, so nothing
  # in a module is put off to the apply.
  project = time_sleep.apis_are_on.triggers["project"]

  # Google's own identities inside its services. Pub/Sub's signs the tokens of pushes and forwards messages that ran out of attempts;
  # Secret Manager's publishes rotation reminders, Cloud Scheduler's the ticks of control. The others encrypt, where a key is given.
  agents = merge(
    {
      "cloudscheduler.googleapis.com" = "gcp-sa-cloudscheduler"
      "pubsub.googleapis.com"         = "gcp-sa-pubsub"
    },
    var.secrets.rotation == null ? {} : { "secretmanager.googleapis.com" = "gcp-sa-secretmanager" },
    local.encrypting_agents,
  )
}

# In a new project these identities do not exist until something asks for them, and IAM refuses to grant anything to who does not exist.
# https://cloud.google.com/iam/docs/create-service-agents
resource "google_project_service_identity" "this" {
  provider = google-beta
  for_each = local.agents

  project = local.project
  service = each.key
}

# A new identity is not known to every part of IAM at once. Users of `pubsub_agent` wait for it. The address is composed of the project's
# number, so that it is known at plan and no grant looks replaced.
resource "time_sleep" "agents_are_known" {
  create_duration = "60s"

  triggers = {
    for service, domain in local.agents :
    service => "serviceAccount:service-${data.google_project.this.number}@${domain}.iam.gserviceaccount.com"
  }

  depends_on = [google_project_service_identity.this]
}

locals {
  pubsub_agent         = time_sleep.agents_are_known.triggers["pubsub.googleapis.com"]
  scheduler_agent      = time_sleep.agents_are_known.triggers["cloudscheduler.googleapis.com"]
  secret_manager_agent = lookup(time_sleep.agents_are_known.triggers, "secretmanager.googleapis.com", null)
}
