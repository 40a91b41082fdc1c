output "subscription" {
  description = "Name of the subscription to pull from."
  value       = google_pubsub_subscription.this.name
}

output "topic_id" {
  description = "projects/P/topics/T, as a dead-letter policy wants it. Known once the agent may publish to it."
  value       = google_pubsub_topic.this.id
  depends_on  = [google_pubsub_topic_iam_member.pubsub_forwards]
}

output "topic_name" {
  description = "Short name of the topic."
  value       = google_pubsub_topic.this.name
}
