# Who Pub/Sub is when it calls this function. One identity per topic: it can call no other function.
resource "google_service_account" "push" {
  project      = var.project_id
  account_id   = var.push_account_id
  display_name = "Pushes ${var.topic} to its function"
}

# Only the push identity may call the function, and only from inside Google's network: no person, no other service.
resource "google_cloud_run_v2_service_iam_member" "push" {
  project  = var.project_id
  location = var.region
  name     = var.function.name
  role     = "roles/run.invoker"
  member   = google_service_account.push.member
}

# Only Pub/Sub's agent may sign tokens as the push identity. A binding, not a member: it also takes the right away from anybody else
# who was given it by hand.
resource "google_service_account_iam_binding" "push_signers" {
  service_account_id = google_service_account.push.name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  members            = [var.pubsub_agent]
}

# Pub/Sub's agent may publish to the retry topic: it forwards what spent its attempts in the main lane.
# Its right to publish to the dead-letter topic is in the dead_letter module.
resource "google_pubsub_topic_iam_member" "pubsub_forwards" {
  count = length(google_pubsub_topic.retry)

  project = var.project_id
  topic   = google_pubsub_topic.retry[count.index].name
  role    = "roles/pubsub.publisher"
  member  = var.pubsub_agent
}

# Pub/Sub's agent may acknowledge on every lane: that is how it takes a message off the subscription that it forwards from.
# Without this a message that spent its attempts stays, and is delivered for ever.
resource "google_pubsub_subscription_iam_member" "pubsub_forwards" {
  for_each = google_pubsub_subscription.lane

  project      = var.project_id
  subscription = each.value.name
  role         = "roles/pubsub.subscriber"
  member       = var.pubsub_agent
}

# The function may publish to its retry topic: it moves a job that spent the main lane's attempts, and keeps its key with it.
resource "google_pubsub_topic_iam_member" "function_retries" {
  count = length(google_pubsub_topic.retry)

  project = var.project_id
  topic   = google_pubsub_topic.retry[count.index].name
  role    = "roles/pubsub.publisher"
  member  = var.function.member
}

# The function may publish to its dead-letter topic: it puts a job there, with the reason, that cannot succeed as it is.
resource "google_pubsub_topic_iam_member" "function_dead_letters" {
  project = var.project_id
  topic   = module.dead_letter.topic_name
  role    = "roles/pubsub.publisher"
  member  = var.function.member
}

# The function may pull lane bulk: it takes as many jobs as it can send soon.
resource "google_pubsub_subscription_iam_member" "function_pulls" {
  count = local.has_bulk ? 1 : 0

  project      = var.project_id
  subscription = google_pubsub_subscription.lane["bulk"].name
  role         = "roles/pubsub.subscriber"
  member       = var.function.member
}

# The function may seek the bell of lane bulk: it has Pub/Sub forget the rings of jobs that it is pulling already.
resource "google_pubsub_subscription_iam_member" "function_forgets_rings" {
  count = local.has_bulk ? 1 : 0

  project      = var.project_id
  subscription = one(google_pubsub_subscription.bell).name
  role         = "roles/pubsub.subscriber"
  member       = var.function.member
}

# The function may publish to its own topic: it rings the bell of lane bulk for the drain that follows. Pub/Sub has no narrower right, so it
# could publish jobs too; to its retry topic it can anyway.
resource "google_pubsub_topic_iam_member" "function_rings" {
  count = local.has_bulk ? 1 : 0

  project = var.project_id
  topic   = google_pubsub_topic.main.name
  role    = "roles/pubsub.publisher"
  member  = var.function.member
}

# These applications may publish jobs of this kind. They can read nothing.
resource "google_pubsub_topic_iam_member" "publishers" {
  for_each = var.publishers

  project = var.project_id
  topic   = google_pubsub_topic.main.name
  role    = "roles/pubsub.publisher"
  member  = each.value
}

# Operators may publish to the topic: a replay puts a dead letter back where it came from.
resource "google_pubsub_topic_iam_member" "operators_replay" {
  for_each = var.operators

  project = var.project_id
  topic   = google_pubsub_topic.main.name
  role    = "roles/pubsub.publisher"
  member  = each.value
}
