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
}

module "secret" {
  source   = "./modules/secret"
  for_each = local.secrets

  project_id = local.project
  secret_id  = "${local.prefix}cio-${each.value.name}"
  replicas   = local.is_encrypted ? [var.region] : var.secrets.replicas
  kms_key    = local.kms_key
  rotation   = var.secrets.rotation
  reminders  = one(time_sleep.reminders_may_be_sent[*].triggers["topic"])
  protected  = var.deletion_protection
  readers = merge(
    { for function in local.secret_readers[each.key] : function => google_service_account.function[function].member },
    # To forget somebody is to suppress and delete them at Customer.io. It takes no key for webhooks.
    each.key == "webhook_signing_key" ? {} : local.privacy_officers,
  )
  description = "Read by ${join(", ", local.secret_readers[each.key])}. Values: docs/deploy.md, Rotating secrets."
}

# Rotation reminders, where asked for: Secret Manager publishes here when a secret is due, and an alert watches the subscription.
resource "google_pubsub_topic" "secret_rotation" {
  count = var.secrets.rotation == null ? 0 : 1

  project = local.project
  name    = "${local.prefix}cio-secret-rotation"

  kms_key_name = local.kms_key

  message_storage_policy {
    allowed_persistence_regions = local.message_regions
  }
}

resource "google_pubsub_subscription" "secret_rotation" {
  count = length(google_pubsub_topic.secret_rotation)

  project                    = local.project
  name                       = google_pubsub_topic.secret_rotation[count.index].name
  topic                      = google_pubsub_topic.secret_rotation[count.index].id
  message_retention_duration = "2678400s"

  # Secret Manager also publishes each new version, and each change of a secret. Only reminders are kept.
  # https://cloud.google.com/secret-manager/docs/event-notifications#events
  filter = "attributes.eventType = \"SECRET_ROTATE\""

  # Reminders come months apart; without this the subscription would be deleted after 31 idle days.
  expiration_policy {
    ttl = ""
  }
}

# Secret Manager's agent may publish reminders. It is refused a secret whose topic it cannot publish to.
resource "google_pubsub_topic_iam_member" "secret_manager_reminds" {
  count = length(google_pubsub_topic.secret_rotation)

  project = local.project
  topic   = google_pubsub_topic.secret_rotation[count.index].name
  role    = "roles/pubsub.publisher"
  member  = local.secret_manager_agent
}

# Secret Manager tries to publish when it is given the topic, and refuses the secret if it may not. A new grant takes some minutes to be seen
# everywhere, "typically within 2 minutes". https://cloud.google.com/iam/docs/access-change-propagation
resource "time_sleep" "reminders_may_be_sent" {
  count = length(google_pubsub_topic.secret_rotation)

  create_duration = "120s"

  triggers = {
    topic = google_pubsub_topic.secret_rotation[count.index].id
  }

  depends_on = [google_pubsub_topic_iam_member.secret_manager_reminds]
}
