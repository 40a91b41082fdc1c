locals {
  # Names as filters take them: a|b|c, each matched whole.
  job_functions             = join("|", [for name, function in var.functions : function if name != "webhook"])
  main_subscriptions        = join("|", values(var.jobs))
  bells                     = join("|", [for topic in values(var.jobs) : "${topic}-bulk-bell"])
  patient_subscriptions     = join("|", [for topic in values(var.jobs) : "${topic}-(retry|bulk)"])
  consumer_subscriptions    = join("|", var.consumers)
  dead_letter_subscriptions = join("|", concat([for topic in values(var.jobs) : "${topic}-dead-letter"], [for name in var.consumers : "${name}-dead-letter"]))

  # The services whose quotas a job or an event can spend.
  quota_services = join("|", [for service in ["bigquery", "firestore", "pubsub", "run", "secretmanager"] : "${service}.googleapis.com"])

  webhook = var.functions["webhook"]

  subscription = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = monitoring.regex.full_match(\"%s\")"
  service      = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = monitoring.regex.full_match(\"%s\")"

  # Every function writes one JSON line per job or webhook; this finds the lines of this environment's.
  log_lines = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^(${join("|", values(var.functions))})$\""
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.notifications.emails

  project      = var.project_id
  display_name = each.value
  type         = "email"

  labels = {
    email_address = each.value
  }
}
