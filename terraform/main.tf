locals {
  # The one description of topics, lanes and sizes: the code and the local stack read the same file.
  topology = jsondecode(file("${path.module}/../shared/topology.json"))

  prefix = "${var.environment}-"

  # Sizes from the topology; an environment may change how many instances run and how large they are, nothing that the code relies on.
  functions = {
    for name, function in local.topology.functions : name => {
      concurrency     = function.concurrency
      timeout_seconds = function.timeout_seconds
      memory          = coalesce(try(var.functions[name].memory, null), function.memory)
      max_instances   = coalesce(try(var.functions[name].max_instances, null), function.max_instances)
      min_instances   = try(var.functions[name].min_instances, 0)
    }
  }
}

# One job kind each: topic, retry lane, dead letters, and the function that they push to.
module "job" {
  source   = "./modules/job"
  for_each = local.topology.topics

  project_id = var.project_id
  region     = var.region
  topic      = "${local.prefix}${each.value.name}"
  ordered    = each.value.ordered
  lanes      = local.topology.lanes

  dead_letter_retention_days = local.topology.dead_letter.retention_days

  function = merge(local.functions[each.value.function], {
    name        = "${local.prefix}cio-${each.value.function}"
    entry_point = each.value.function
  })

  environment = local.job_settings[each.value.function]

  source_root  = "${path.module}/.."
  build        = module.source.build
  pubsub_agent = local.pubsub_agent
  publishers   = lookup(var.publishers, each.key, [])
  operators    = var.operators

  depends_on = [google_project_service.this]
}

# Customer.io calls this from the internet, so it is the one public function.
module "webhook" {
  source = "./modules/function"

  project_id  = var.project_id
  region      = var.region
  name        = "${local.prefix}cio-webhook"
  description = "Customer.io's reporting webhooks: verified, then published to ${module.job["events"].topic_name}."
  entry_point = "webhook"
  size        = local.functions["webhook"]
  environment = local.webhook_settings
  source_root = "${path.module}/.."
  build       = module.source.build
  ingress     = "ALLOW_ALL"

  # Anybody may call the webhook: Customer.io has no Google identity. It proves itself with a signature over the raw body,
  # which the function checks before it does anything else.
  invokers = { anybody = "allUsers" }

  depends_on = [google_project_service.this]
}

# The webhook may publish to the events topic: that is what it does with a verified event.
resource "google_pubsub_topic_iam_member" "webhook_publishes_events" {
  project = var.project_id
  topic   = module.job["events"].topic_name
  role    = "roles/pubsub.publisher"
  member  = module.webhook.member
}

# The webhook may publish to the events' dead letters: a verified body that is not an event is kept there for a person to look at.
resource "google_pubsub_topic_iam_member" "webhook_quarantines" {
  project = var.project_id
  topic   = module.job["events"].dead_letter_topic_name
  role    = "roles/pubsub.publisher"
  member  = module.webhook.member
}

# The company's own consumers of Customer.io events.
module "event_subscription" {
  source   = "./modules/event_subscription"
  for_each = var.event_subscriptions

  project_id = var.project_id
  name       = "${module.job["events"].topic_name}-${each.key}"
  topic      = module.job["events"].topic_id

  filter        = each.value.filter
  push_endpoint = each.value.push_endpoint
  push_account  = one(google_service_account.event_push[*].email)
  push_audience = each.value.push_audience
  pullers       = each.value.pullers
  operators     = var.operators

  ack_deadline_seconds       = each.value.ack_deadline_seconds
  dead_letter_retention_days = local.topology.dead_letter.retention_days
  pubsub_agent               = local.pubsub_agent

  depends_on = [google_project_service.this]
}

locals {
  event_pushes = [for s in values(var.event_subscriptions) : s if s.push_endpoint != null]
}

# Signs the pushes to the company's own endpoints, which check its token and are granted to it by whoever runs them.
resource "google_service_account" "event_push" {
  count = length(local.event_pushes) > 0 ? 1 : 0

  project      = var.project_id
  account_id   = "${local.prefix}cio-event-push"
  display_name = "Pushes Customer.io events to the company's own endpoints (${var.environment})"

  depends_on = [google_project_service.this]
}

# Only Pub/Sub's agent may sign as it. A binding, not a member: it also takes the right away from anybody else.
resource "google_service_account_iam_binding" "event_push_signers" {
  count = length(google_service_account.event_push)

  service_account_id = google_service_account.event_push[count.index].name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  members            = [local.pubsub_agent]
}

# Operators may see names and settings of the project's topics and subscriptions, which their command looks up; no message.
resource "google_project_iam_member" "operators_see_pubsub" {
  for_each = var.operators

  project = var.project_id
  role    = "roles/pubsub.viewer"
  member  = each.value
}

# Operators may see metrics: backlogs and ages in their command, and the dashboard.
resource "google_project_iam_member" "operators_see_monitoring" {
  for_each = var.operators

  project = var.project_id
  role    = "roles/monitoring.viewer"
  member  = each.value
}
