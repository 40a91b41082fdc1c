locals {
  # The one description of topics, lanes and sizes: the code and the local stack read the same file.
  topology = jsondecode(file("${path.module}/../shared/topology.json"))

  prefix = "${var.environment}-"

  # Sizes from the topology; an environment may change how many instances run and how large they are, nothing that the code relies on.
  functions = {
    for name, function in local.topology.functions : name => {
      name            = "${local.prefix}cio-${name}"
      concurrency     = function.concurrency
      timeout_seconds = function.timeout_seconds
      memory          = coalesce(try(var.functions[name].memory, null), function.memory)
      max_instances   = coalesce(try(var.functions[name].max_instances, null), function.max_instances)
      min_instances   = try(var.functions[name].min_instances, 0)
    }
  }

  # Full names of topics, composed and not taken from the topics: a function that waited for its topic, which waits for the function's
  # address, would be a circle.
  topic_ids = { for key, topic in local.topology.topics : key => "projects/${var.project_id}/topics/${local.prefix}${topic.name}" }

  descriptions = {
    for name, function in local.topology.functions : name => (
      function.trigger == "https"
      ? "Customer.io's reporting webhooks: verified, then published to ${local.prefix}${local.topology.topics["events"].name}."
      : "Takes what is published to ${join(", ", [for key in local.topics_of[name] : "${local.prefix}${local.topology.topics[key].name}"])}."
    )
  }

  # The topics that push to each function, in the order of their names.
  topics_of = {
    for name in keys(local.topology.functions) :
    name => [for key, topic in local.topology.topics : key if topic.function == name]
  }

  # Jobs are the topics whose function calls Customer.io. Applications publish to these; Customer.io's events come from the webhook alone.
  job_topics    = [for key, topic in local.topology.topics : key if topic.rate != null]
  job_functions = toset([for key in local.job_topics : local.topology.topics[key].function])

  # Where the code is deployed from. Going back to earlier code names an earlier checkout here; a function that it does not have yet
  # stays as it is.
  source_root = coalesce(var.source_root, "${path.module}/..")
  source_roots = {
    for name in keys(local.topology.functions) :
    name => fileexists("${local.source_root}/functions/${name}/main.py") ? local.source_root : "${path.module}/.."
  }
}

# Everything that runs but control, which is told the addresses of these. Those with trigger `push` take messages of their topics from inside Google's network. The webhook is the one public
# function: Customer.io calls it from the internet.
module "function" {
  source   = "./modules/function"
  for_each = { for name, function in local.functions : name => function if name != "control" }

  project_id  = local.project
  region      = var.region
  name        = each.value.name
  description = local.descriptions[each.key]
  entry_point = each.key
  account     = google_service_account.function[each.key]
  size        = each.value
  environment = local.function_settings[each.key]
  source_root = local.source_roots[each.key]
  kms_key     = local.kms_key
  network     = var.network
  build       = module.source.build
  ingress     = local.topology.functions[each.key].trigger == "https" ? local.webhook_ingress[var.webhook.ingress] : "ALLOW_INTERNAL_ONLY"

  # Anybody may call the webhook: Customer.io has no Google identity. It proves itself with a signature over the raw body, which the
  # function checks before it does anything else. Who may push to the other functions is granted with their topics.
  invokers = local.topology.functions[each.key].trigger == "https" ? { anybody = "allUsers" } : {}
}

locals {
  webhook_ingress = { all = "ALLOW_ALL", load-balancer = "ALLOW_INTERNAL_AND_GCLB" }

  deployed = merge(module.function, { control = module.control })

  # Named after the function; a second topic of the same function has a push identity named after the topic.
  push_account_ids = {
    for key, topic in local.topology.topics :
    key => key == local.topics_of[topic.function][0] ? "${local.prefix}cio-${topic.function}-push" : "${local.prefix}${topic.name}-push"
  }
}

# One topic each: its lanes, its dead letters, and the identity that pushes to its function.
module "job" {
  source   = "./modules/job"
  for_each = local.topology.topics

  project_id = local.project
  region     = var.region
  topic      = "${local.prefix}${each.value.name}"
  ordered    = each.value.ordered
  lanes      = { for lane in each.value.lanes : lane => local.topology.lanes[lane] }
  bell       = local.topology.bell

  dead_letter_retention_days = local.topology.dead_letter.retention_days
  storage_regions            = local.message_regions
  kms_key                    = local.kms_key

  function = {
    name            = local.deployed[each.value.function].name
    member          = google_service_account.function[each.value.function].member
    uri             = local.deployed[each.value.function].uri
    timeout_seconds = local.functions[each.value.function].timeout_seconds
  }

  push_account_id = local.push_account_ids[each.key]
  pubsub_agent    = local.pubsub_agent
  publishers      = lookup(var.publishers, each.key, [])
  operators       = var.operators
}

locals {
  message_regions = coalesce(var.message_regions, [var.region])
}

# The webhook may publish to the events topic: that is what it does with a verified event.
resource "google_pubsub_topic_iam_member" "webhook_publishes_events" {
  project = local.project
  topic   = module.job["events"].topic_name
  role    = "roles/pubsub.publisher"
  member  = google_service_account.function["webhook"].member
}

# What only the company's own applications read.
resource "google_pubsub_topic" "consumer" {
  for_each = local.topology.consumer_topics

  project = local.project
  name    = "${local.prefix}${each.value}"

  kms_key_name = local.kms_key

  message_storage_policy {
    allowed_persistence_regions = local.message_regions
  }
}

# The webhook may publish changes of consent: an opt-out at Customer.io has to reach the application.
resource "google_pubsub_topic_iam_member" "webhook_publishes_consent" {
  project = local.project
  topic   = google_pubsub_topic.consumer["consent"].name
  role    = "roles/pubsub.publisher"
  member  = google_service_account.function["webhook"].member
}

# The webhook may publish to the events' dead letters: a verified body that is not an event is kept there for a person to look at.
resource "google_pubsub_topic_iam_member" "webhook_quarantines" {
  project = local.project
  topic   = module.job["events"].dead_letter_topic_name
  role    = "roles/pubsub.publisher"
  member  = google_service_account.function["webhook"].member
}

# The functions that take jobs may publish what became of them: the application learns the delivery id, and archive keeps a row.
resource "google_pubsub_topic_iam_member" "functions_publish_outcomes" {
  for_each = local.job_functions

  project = local.project
  topic   = module.job["outcomes"].topic_name
  role    = "roles/pubsub.publisher"
  member  = google_service_account.function[each.key].member
}

locals {
  consumed_topics = merge(
    { for key in ["events", "outcomes"] : key => { name = module.job[key].topic_name, id = module.job[key].topic_id } },
    { for key, topic in google_pubsub_topic.consumer : key => { name = topic.name, id = topic.id } },
  )
}

# The company's own consumers of Customer.io events, of the outcomes of jobs and of changes of consent.
module "event_subscription" {
  source   = "./modules/event_subscription"
  for_each = var.event_subscriptions

  project_id = local.project
  name       = "${local.consumed_topics[each.value.topic].name}-${each.key}"
  topic      = local.consumed_topics[each.value.topic].id

  filter        = each.value.filter
  push_endpoint = each.value.push_endpoint
  push_account  = one(google_service_account.event_push[*].email)
  push_audience = each.value.push_audience
  pullers       = each.value.pullers
  operators     = var.operators

  ack_deadline_seconds       = each.value.ack_deadline_seconds
  dead_letter_retention_days = local.topology.dead_letter.retention_days
  storage_regions            = local.message_regions
  kms_key                    = local.kms_key
  pubsub_agent               = local.pubsub_agent

  # Pub/Sub may sign as the push identity before a subscription pushes as it.
  depends_on = [google_service_account_iam_binding.event_push_signers]
}

locals {
  event_pushes = [for s in values(var.event_subscriptions) : s if s.push_endpoint != null]
}

# Signs the pushes to the company's own endpoints, which check its token and are granted to it by whoever runs them.
resource "google_service_account" "event_push" {
  count = length(local.event_pushes) > 0 ? 1 : 0

  project      = local.project
  account_id   = "${local.prefix}cio-event-push"
  display_name = "Pushes Customer.io events to the company's own endpoints (${var.environment})"
}

# Only Pub/Sub's agent may sign as it. A binding, not a member: it also takes the right away from anybody else.
resource "google_service_account_iam_binding" "event_push_signers" {
  count = length(google_service_account.event_push)

  service_account_id = google_service_account.event_push[count.index].name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  members            = [local.pubsub_agent]
}

# What operators may see on the whole project: names and settings of topics and subscriptions, which their command looks up, and metrics;
# no message. A role of this environment's own: with a shared one, two environments of a project would hold one and the same grant, and
# destroying one would take it from the other. A deleted role's name is free after 37 days only; within
# 7 the provider undeletes it. https://cloud.google.com/iam/docs/creating-custom-roles#deleting-custom-role
resource "google_project_iam_custom_role" "operator" {
  project     = local.project
  role_id     = "${var.environment}_cio_operator"
  title       = "Customer.io operator (${var.environment})"
  description = "See topics, subscriptions and metrics; read no message."

  permissions = [
    "monitoring.alertPolicies.get",
    "monitoring.alertPolicies.list",
    "monitoring.dashboards.get",
    "monitoring.dashboards.list",
    "monitoring.metricDescriptors.get",
    "monitoring.metricDescriptors.list",
    "monitoring.monitoredResourceDescriptors.get",
    "monitoring.monitoredResourceDescriptors.list",
    "monitoring.services.get",
    "monitoring.services.list",
    "monitoring.slos.get",
    "monitoring.slos.list",
    "monitoring.timeSeries.list",
    "pubsub.subscriptions.get",
    "pubsub.subscriptions.list",
    "pubsub.topics.get",
    "pubsub.topics.list",
  ]
}

# Operators may see backlogs, ages and the dashboard, and which topics and subscriptions there are.
resource "google_project_iam_member" "operators" {
  for_each = var.operators

  project = local.project
  role    = "projects/${local.project}/roles/${google_project_iam_custom_role.operator.role_id}"
  member  = each.value
}
