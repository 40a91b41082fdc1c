# Pauses. When Customer.io turns the account away or is down, the function control takes the push config from a kind's subscriptions: "By setting
# an empty push config, messages accumulate", and no attempts are spent. A tick a minute has it probe Customer.io and put the config back.
# https://cloud.google.com/pubsub/docs/create-push-subscription#pause. Why and since when stands in labels that Terraform does not manage: the
# provider leaves labels alone that are not in the configuration. https://registry.terraform.io/providers/hashicorp/google/latest/docs/guides/version_5_upgrade
#
# An apply during a pause puts the push config back, as it does with every setting that differs. The next tick takes it away again.

locals {
  # What pushes, by kind. Lane bulk is pulled, and its bell pushes.
  push_lanes = {
    for key, topic in local.topology.topics :
    key => concat([for lane in topic.lanes : lane if lane != "bulk"], contains(topic.lanes, "bulk") ? ["bell"] : [])
  }

  # The push config of each kind that can be paused, for control to put back. Composed, and not taken from the subscriptions, which come later.
  push_targets = {
    for key in local.job_topics : key => {
      subscriptions = [
        for lane in local.push_lanes[key] :
        "projects/${var.project_id}/subscriptions/${local.prefix}${local.topology.topics[key].name}${lookup({ retry = "-retry", bell = "-bulk-bell" }, lane, "")}"
      ]
      endpoint        = module.function[local.topology.topics[key].function].uri
      service_account = "${local.push_account_ids[key]}@${var.project_id}.iam.gserviceaccount.com"
      audience        = module.function[local.topology.topics[key].function].uri
    }
  }

  # Every subscription that can be paused.
  pausable = merge([
    for key in local.job_topics : { for lane in local.push_lanes[key] : "${key}-${lane}" => { kind = key, lane = lane } }
  ]...)
}

# Apart from the other functions: it is told their addresses.
module "control" {
  source = "./modules/function"

  project_id  = local.project
  region      = var.region
  name        = local.functions["control"].name
  description = local.descriptions["control"]
  entry_point = "control"
  account     = google_service_account.function["control"]
  size        = local.functions["control"]
  environment = merge(local.function_settings["control"], { PUSH_TARGETS = jsonencode(local.push_targets) })
  source_root = local.source_roots["control"]
  kms_key     = local.kms_key
  network     = var.network
  build       = module.source.build
  ingress     = "ALLOW_INTERNAL_ONLY"
}

# To stop and start the push of a subscription, and to read and write its labels. It is granted on single subscriptions. Whoever holds it can
# also point a subscription at an address of their own, without a token: Pub/Sub has no narrower permission.
resource "google_project_iam_custom_role" "pauses" {
  project     = local.project
  role_id     = "${var.environment}_cio_pauses"
  title       = "Pauses Customer.io jobs (${var.environment})"
  description = "Change the push of single subscriptions; read no message."
  permissions = ["pubsub.subscriptions.get", "pubsub.subscriptions.update"]
}

locals {
  # Composed, so that it is known at plan; taken from the role, so that each grant waits for it.
  pauses_role = "projects/${local.project}/roles/${google_project_iam_custom_role.pauses.role_id}"
}

# Control may stop and start the push of these subscriptions, and of no other.
resource "google_pubsub_subscription_iam_member" "control_pauses" {
  for_each = local.pausable

  project      = local.project
  subscription = module.job[each.value.kind].subscriptions[each.value.lane]
  role         = local.pauses_role
  member       = google_service_account.function["control"].member
}

# Operators may stop and start the push of these subscriptions: `python -m ops pause` works when control does not.
resource "google_pubsub_subscription_iam_member" "operators_pause" {
  for_each = merge([
    for operator in var.operators : { for key, subscription in local.pausable : "${key} ${operator}" => merge(subscription, { operator = operator }) }
  ]...)

  project      = local.project
  subscription = module.job[each.value.kind].subscriptions[each.value.lane]
  role         = local.pauses_role
  member       = each.value.operator
}

# Control may have pushes signed as the push identity of these kinds: Pub/Sub asks that of whoever sets a push config with a token.
# https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions#configure_for_push_authentication
resource "google_service_account_iam_member" "control_acts_as" {
  for_each = toset(local.job_topics)

  service_account_id = module.job[each.key].push_account
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.function["control"].member
}

# These functions may publish to the control topic: that is how they ask for a pause.
resource "google_pubsub_topic_iam_member" "functions_ask" {
  for_each = toset([for key in local.job_topics : local.topology.topics[key].function])

  project = local.project
  topic   = module.job["control"].topic_name
  role    = "roles/pubsub.publisher"
  member  = google_service_account.function[each.key].member
}

# Cloud Scheduler's agent may publish to the control topic: a tick a minute.
resource "google_pubsub_topic_iam_member" "scheduler_ticks" {
  project = local.project
  topic   = module.job["control"].topic_name
  role    = "roles/pubsub.publisher"
  member  = local.scheduler_agent
}

# shared/control_message.py reads the data. A tick that is not published is left out: the next one does the same.
resource "google_cloud_scheduler_job" "tick" {
  project     = local.project
  region      = var.region
  name        = "${local.prefix}cio-tick"
  description = "Has control look at pauses, each minute."
  schedule    = "* * * * *"
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = module.job["control"].topic_id
    data       = base64encode(jsonencode({ action = "tick" }))
  }

  # All that a tick needs is granted before the first one.
  depends_on = [
    google_pubsub_subscription_iam_member.control_pauses,
    google_pubsub_topic_iam_member.scheduler_ticks,
    google_service_account_iam_member.control_acts_as,
  ]
}
