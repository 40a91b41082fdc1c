module "dead_letter" {
  source = "../dead_letter"

  project_id      = var.project_id
  name            = "${var.name}-dead-letter"
  retention_days  = var.dead_letter_retention_days
  storage_regions = var.storage_regions
  kms_key         = var.kms_key
  pubsub_agent    = var.pubsub_agent
  operators       = var.operators
}

resource "google_pubsub_subscription" "this" {
  project                    = var.project_id
  name                       = var.name
  topic                      = var.topic
  filter                     = var.filter
  ack_deadline_seconds       = var.ack_deadline_seconds
  message_retention_duration = "604800s"

  dynamic "push_config" {
    for_each = var.push_endpoint == null ? [] : [var.push_endpoint]

    content {
      push_endpoint = push_config.value

      oidc_token {
        service_account_email = var.push_account
        audience              = coalesce(var.push_audience, push_config.value)
      }
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  # A consumer that is broken for about 16 hours loses nothing; after that its events wait in its dead letters.
  dead_letter_policy {
    dead_letter_topic     = module.dead_letter.topic_id
    max_delivery_attempts = 100
  }

  # A quiet month must not delete it.
  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub's agent may acknowledge here: that is how it takes a message off that it forwards to the dead letters.
resource "google_pubsub_subscription_iam_member" "pubsub_forwards" {
  project      = var.project_id
  subscription = google_pubsub_subscription.this.name
  role         = "roles/pubsub.subscriber"
  member       = var.pubsub_agent
}

# These consumers may pull from this subscription, and from no other.
resource "google_pubsub_subscription_iam_member" "pullers" {
  for_each = var.pullers

  project      = var.project_id
  subscription = google_pubsub_subscription.this.name
  role         = "roles/pubsub.subscriber"
  member       = each.value
}
