# Lane bulk is pulled by its function whenever its bell rings. Each bulk job rings, and so does a drain that leaves some. What no ring announces,
# such as a job that was given back or that was pulled by an instance that died, is found within a minute.

locals {
  bulk_topics = toset([for key, topic in local.topology.topics : key if contains(topic.lanes, "bulk")])
}

# Cloud Scheduler's agent may publish to the topics that have a lane bulk: a ring a minute.
resource "google_pubsub_topic_iam_member" "scheduler_rings" {
  for_each = local.bulk_topics

  project = local.project
  topic   = module.job[each.key].topic_name
  role    = "roles/pubsub.publisher"
  member  = local.scheduler_agent
}

# The filters of the topic's subscriptions read the attributes: only the bell takes this message. One that is not published is left out: the
# next one does the same.
resource "google_cloud_scheduler_job" "bell" {
  for_each = local.bulk_topics

  project     = local.project
  region      = var.region
  name        = "${local.prefix}${local.topology.topics[each.key].name}-bell"
  description = "Has lane bulk looked at, each minute."
  schedule    = "* * * * *"
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = module.job[each.key].topic_id
    attributes = { priority = "bulk", bulk_bell = "ring" }
  }

  # All that a ring needs is granted before the first one. The filters are there, or it would count as a job.
  depends_on = [
    google_pubsub_topic_iam_member.scheduler_rings,
    module.job,
  ]
}
