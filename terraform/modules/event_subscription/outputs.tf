output "dead_letter_subscription" {
  description = "Name of the subscription that dead letters wait in."
  value       = module.dead_letter.subscription
}

output "name" {
  description = "Name of the subscription."
  value       = google_pubsub_subscription.this.name
}
