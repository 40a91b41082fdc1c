module "monitoring" {
  source = "./modules/monitoring"

  project_id    = var.project_id
  name          = "${local.prefix}cio"
  notifications = var.notifications
  runbooks_url  = var.runbooks_url
  thresholds    = var.alert_thresholds

  functions = { for name in keys(local.functions) : name => "${local.prefix}cio-${name}" }
  jobs      = { for key, topic in local.topology.topics : key => "${local.prefix}${topic.name}" }

  consumer_dead_letters = [for s in values(module.event_subscription) : s.dead_letter_subscription]
  rotation_reminders    = one(google_pubsub_subscription.secret_rotation[*].name)

  depends_on = [google_project_service.this]
}
