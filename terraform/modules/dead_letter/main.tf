resource "google_pubsub_topic" "this" {
  project = var.project_id
  name    = var.name

  kms_key_name = var.kms_key

  message_storage_policy {
    allowed_persistence_regions = var.storage_regions
  }
}

# A dead-letter topic without a subscription loses what it gets, so this one is always there, and for as long as Pub/Sub allows.
resource "google_pubsub_subscription" "this" {
  project                    = var.project_id
  name                       = google_pubsub_topic.this.name
  topic                      = google_pubsub_topic.this.id
  ack_deadline_seconds       = 60
  message_retention_duration = "${var.retention_days * 86400}s"

  # By default a subscription that nobody pulls from is deleted after 31 days, and later dead letters vanish with it.
  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub's agent may publish here: it is who forwards a message that ran out of attempts.
resource "google_pubsub_topic_iam_member" "pubsub_forwards" {
  project = var.project_id
  topic   = google_pubsub_topic.this.name
  role    = "roles/pubsub.publisher"
  member  = var.pubsub_agent
}

# Operators may pull, which is how they look at dead letters, replay and discard them. Nobody else can read a message here.
resource "google_pubsub_subscription_iam_member" "operators_pull" {
  for_each = var.operators

  project      = var.project_id
  subscription = google_pubsub_subscription.this.name
  role         = "roles/pubsub.subscriber"
  member       = each.value
}
