module "monitoring" {
  source = "./modules/monitoring"

  project_id    = local.project
  name          = "${local.prefix}cio"
  notifications = var.notifications
  runbooks_url  = var.runbooks_url
  thresholds    = var.alert_thresholds
  logs          = var.logs

  functions = { for name, function in local.functions : name => function.name }
  jobs      = { for key, topic in local.topology.topics : key => "${local.prefix}${topic.name}" }
  consumers = [for s in values(module.event_subscription) : s.name]

  rotation_reminders = one(google_pubsub_subscription.secret_rotation[*].name)
}
