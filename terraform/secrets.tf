locals {
  # The four credentials. Which functions read each stands in shared/topology.json.
  secrets = {
    site_id = {
      name     = "site-id"
      variable = "CUSTOMERIO_SITE_ID"
    }
    track_api_key = {
      name     = "track-api-key"
      variable = "CUSTOMERIO_TRACK_API_KEY"
    }
    app_api_key = {
      name     = "app-api-key"
      variable = "CUSTOMERIO_APP_API_KEY"
    }
    webhook_signing_key = {
      name     = "webhook-signing-key"
      variable = "CUSTOMERIO_WEBHOOK_SIGNING_KEY"
    }
  }

  secret_readers = {
    for key, secret in local.secrets : key => [for name, function in local.topology.functions : name if contains(function.secrets, secret.name)]
  }

  # Each function's identity. Written out, as module.job[name] would make everything that is granted wait for all of every job.
  function_members = {
    identify  = module.job["identify"].function_member
    track     = module.job["track"].function_member
    send      = module.job["send"].function_member
    broadcast = module.job["broadcast"].function_member
    sync      = module.job["sync"].function_member
    archive   = module.job["events"].function_member
    webhook   = module.webhook.member
  }
}

module "secret" {
  source   = "./modules/secret"
  for_each = local.secrets

  project_id  = var.project_id
  secret_id   = "${local.prefix}cio-${each.value.name}"
  replicas    = var.secrets.replicas
  rotation    = var.secrets.rotation
  reminders   = one(google_pubsub_topic.secret_rotation[*].id)
  protected   = var.deletion_protection
  readers     = { for function in local.secret_readers[each.key] : function => local.function_members[function] }
  description = "Read by ${join(", ", local.secret_readers[each.key])}. Values: docs/deploy.md, Rotating secrets."

  depends_on = [google_project_service.this, google_pubsub_topic_iam_member.secret_manager_reminds]
}

# Rotation reminders, where asked for: Secret Manager publishes here when a secret is due, and an alert watches the subscription.
resource "google_pubsub_topic" "secret_rotation" {
  count = var.secrets.rotation == null ? 0 : 1

  project = var.project_id
  name    = "${local.prefix}cio-secret-rotation"

  depends_on = [google_project_service.this]
}

resource "google_pubsub_subscription" "secret_rotation" {
  count = length(google_pubsub_topic.secret_rotation)

  project                    = var.project_id
  name                       = google_pubsub_topic.secret_rotation[count.index].name
  topic                      = google_pubsub_topic.secret_rotation[count.index].id
  message_retention_duration = "2678400s"

  # Reminders come months apart; without this the subscription would be deleted after 31 idle days.
  expiration_policy {
    ttl = ""
  }
}

# Secret Manager's agent may publish reminders. It is refused a secret whose topic it cannot publish to.
resource "google_pubsub_topic_iam_member" "secret_manager_reminds" {
  count = length(google_pubsub_topic.secret_rotation)

  project = var.project_id
  topic   = google_pubsub_topic.secret_rotation[count.index].name
  role    = "roles/pubsub.publisher"
  member  = local.secret_manager_agent
}
