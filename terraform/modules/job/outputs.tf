output "dead_letter_subscription" {
  description = "Name of the subscription that dead letters wait in."
  value       = module.dead_letter.subscription
}

output "dead_letter_topic_id" {
  description = "projects/P/topics/T-dead-letter."
  value       = module.dead_letter.topic_id
}

output "dead_letter_topic_name" {
  description = "Short name of the dead-letter topic."
  value       = module.dead_letter.topic_name
}

output "push_account" {
  description = "Full name of the service account that pushes come from."
  value       = google_service_account.push.name
}

output "subscriptions" {
  description = "Short names of the subscriptions that deliver to the function, by lane; `bell` is that which rings for lane bulk."
  value = merge(
    { for lane, subscription in google_pubsub_subscription.lane : lane => subscription.name },
    { for subscription in google_pubsub_subscription.bell : "bell" => subscription.name },
  )
}

output "topic_id" {
  description = "projects/P/topics/T: what applications publish to."
  value       = google_pubsub_topic.main.id
}

output "topic_name" {
  description = "Short name of the topic."
  value       = google_pubsub_topic.main.name
}
