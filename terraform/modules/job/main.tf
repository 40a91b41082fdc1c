# The way of an unordered job: topic, a few quick attempts; then the retry topic, many patient ones; then the dead-letter topic, where it
# waits for a person. An ordered job has no retry topic: its lane is patient at once, because a job that moved would be overtaken by the
# later ones of its ordering key. Lane bulk reads the same topic as lane main: filters divide its messages by attribute priority. The other lanes
# push to the same function, which is made elsewhere: it may take several topics. Lane bulk is pulled by the function when its bell rings.

resource "google_pubsub_topic" "main" {
  project = var.project_id
  name    = var.topic

  kms_key_name = var.kms_key

  # Jobs hold personal data, and without this Pub/Sub keeps a message in the region that it was published from.
  # https://cloud.google.com/pubsub/docs/resource-location-restriction
  message_storage_policy {
    allowed_persistence_regions = var.storage_regions
  }
}

resource "google_pubsub_topic" "retry" {
  count = contains(keys(var.lanes), "retry") ? 1 : 0

  project = var.project_id
  name    = "${var.topic}-retry"

  kms_key_name = var.kms_key

  message_storage_policy {
    allowed_persistence_regions = var.storage_regions
  }
}

module "dead_letter" {
  source = "../dead_letter"

  project_id      = var.project_id
  name            = "${var.topic}-dead-letter"
  retention_days  = var.dead_letter_retention_days
  storage_regions = var.storage_regions
  kms_key         = var.kms_key
  pubsub_agent    = var.pubsub_agent
  operators       = var.operators
}

locals {
  has_bulk  = contains(keys(var.lanes), "bulk")
  only_bulk = "attributes.priority = \"bulk\""

  lanes = {
    for lane, settings in var.lanes : lane => {
      name     = lane == "bulk" ? "${var.topic}-bulk" : lane == "retry" ? one(google_pubsub_topic.retry).name : google_pubsub_topic.main.name
      topic    = lane == "retry" ? one(google_pubsub_topic.retry) : google_pubsub_topic.main
      forwards = contains(["main", "bulk"], lane) ? one(google_pubsub_topic.retry[*].id) : module.dead_letter.topic_id
      filter   = !local.has_bulk ? null : lane == "bulk" ? "${local.only_bulk} AND NOT attributes:bulk_bell" : lane == "main" ? "NOT ${local.only_bulk}" : null
      pushes   = lane != "bulk"
      settings = settings
    }
  }
}

# Each subscription is named like the topic that it reads; lane bulk, which shares its topic, adds its own name. A filter cannot be changed:
# another one makes Terraform replace the subscription, with all that waits in it. docs/deploy.md says what to do first.
resource "google_pubsub_subscription" "lane" {
  for_each = local.lanes

  project = var.project_id
  name    = each.value.name
  topic   = each.value.topic.id
  filter  = each.value.filter

  ack_deadline_seconds       = each.value.settings.ack_deadline_seconds # also how long Pub/Sub waits for the function's answer
  message_retention_duration = "604800s"
  enable_message_ordering    = var.ordered

  # Pushed as the push identity below, with a token made out to this function alone.
  dynamic "push_config" {
    for_each = each.value.pushes ? [true] : []

    content {
      push_endpoint = var.function.uri

      oidc_token {
        service_account_email = google_service_account.push.email
        audience              = var.function.uri
      }
    }
  }

  retry_policy {
    minimum_backoff = "${each.value.settings.minimum_backoff_seconds}s"
    maximum_backoff = "${each.value.settings.maximum_backoff_seconds}s"
  }

  dead_letter_policy {
    dead_letter_topic     = each.value.forwards
    max_delivery_attempts = each.value.settings.max_delivery_attempts
  }

  # A quiet month must not delete it.
  expiration_policy {
    ttl = ""
  }

  # All that a delivery needs is granted before the first one: to sign, to call, to forward, to dead-letter.
  depends_on = [
    google_cloud_run_v2_service_iam_member.push,
    google_pubsub_topic_iam_member.function_dead_letters,
    google_pubsub_topic_iam_member.function_retries,
    google_pubsub_topic_iam_member.pubsub_forwards,
    google_service_account_iam_binding.push_signers,
  ]

  lifecycle {
    precondition {
      condition     = each.value.settings.ack_deadline_seconds > var.function.timeout_seconds
      error_message = "${each.value.name}: the ack deadline must be above the function's timeout, or Pub/Sub pushes again what is still being worked on."
    }
  }
}

# Rings when lane bulk can be pulled: it pushes the same messages once more, and those of attribute bulk_bell alone, which are no jobs. The
# function answers by a drain of the lane, or at once while one runs. Its messages need no dead letters, because the jobs wait in the lane.
resource "google_pubsub_subscription" "bell" {
  count = local.has_bulk ? 1 : 0

  project = var.project_id
  name    = "${var.topic}-bulk-bell"
  topic   = google_pubsub_topic.main.id
  filter  = local.only_bulk

  ack_deadline_seconds       = var.bell.ack_deadline_seconds
  message_retention_duration = "${var.bell.retention_seconds}s"

  push_config {
    push_endpoint = var.function.uri

    oidc_token {
      service_account_email = google_service_account.push.email
      audience              = var.function.uri
    }
  }

  retry_policy {
    minimum_backoff = "${var.bell.minimum_backoff_seconds}s"
    maximum_backoff = "${var.bell.maximum_backoff_seconds}s"
  }

  expiration_policy {
    ttl = ""
  }

  # All that a drain needs is granted before the first ring: to sign, to call, to pull, to move jobs on, to ring again.
  depends_on = [
    google_cloud_run_v2_service_iam_member.push,
    google_pubsub_subscription_iam_member.function_pulls,
    google_pubsub_topic_iam_member.function_dead_letters,
    google_pubsub_topic_iam_member.function_retries,
    google_pubsub_topic_iam_member.function_rings,
    google_service_account_iam_binding.push_signers,
  ]

  lifecycle {
    precondition {
      condition     = var.bell.ack_deadline_seconds > var.function.timeout_seconds
      error_message = "${var.topic}-bulk-bell: the ack deadline must be above the function's timeout, or Pub/Sub rings again while a drain runs."
    }
  }
}
