output "topics" {
  description = "What applications publish to, by kind of job."
  value       = { for kind, job in module.job : kind => job.topic_id if contains(local.job_topics, kind) }
}

output "webhook_url" {
  description = "What to enter in Customer.io under Data & Integrations, Reporting Webhooks."
  value       = module.function["webhook"].uri
}

output "events_topic" {
  description = "Where Customer.io's events are published, for subscriptions of your own (better: variable event_subscriptions)."
  value       = module.job["events"].topic_id
}

output "outcomes_topic" {
  description = "Where functions publish what became of each job (subscriptions: variable event_subscriptions with topic = \"outcomes\")."
  value       = module.job["outcomes"].topic_id
}

output "event_push_account" {
  description = "Who pushes to the endpoints of event_subscriptions: let it call them."
  value       = one(google_service_account.event_push[*].email)
}

output "dead_letter_subscriptions" {
  description = "Where dead letters wait, by kind of job."
  value       = { for kind, job in module.job : kind => job.dead_letter_subscription }
}

output "dataset" {
  description = "BigQuery dataset with the events, and the views to start from."
  value = {
    id    = "${var.project_id}.${module.warehouse.dataset_id}"
    views = module.warehouse.views
  }
}

output "secrets" {
  description = "Names of the secrets, to which values are added with gcloud."
  value       = { for name, secret in module.secret : name => secret.secret_id }
}

output "recipients" {
  description = "Who may be written to from this environment."
  value       = local.recipients
}

output "instance_budget" {
  description = "How the account's rates are shared out: instances at most, and requests per second of each."
  value = {
    for name in keys(local.topology.rates) : name => {
      account_per_second  = local.account_rates[name]
      instances           = local.instances_by_rate[name]
      instance_per_second = local.instance_rates[name]
    }
  }
}

output "console" {
  description = "Links into the Google Cloud console."
  value = {
    dashboard  = "https://console.cloud.google.com/monitoring/dashboards/builder/${basename(module.monitoring.dashboard)}?project=${var.project_id}"
    alerts     = "https://console.cloud.google.com/monitoring/alerting?project=${var.project_id}"
    logs       = "https://console.cloud.google.com/logs/query;query=${urlencode("resource.type=\"cloud_run_revision\" resource.labels.service_name=~\"^${local.prefix}cio-\"")}?project=${var.project_id}"
    topics     = "https://console.cloud.google.com/cloudpubsub/topic/list?project=${var.project_id}"
    functions  = "https://console.cloud.google.com/functions/list?project=${var.project_id}"
    warehouse  = "https://console.cloud.google.com/bigquery?project=${var.project_id}&p=${var.project_id}&d=${module.warehouse.dataset_id}&page=dataset"
    secrets    = "https://console.cloud.google.com/security/secret-manager?project=${var.project_id}"
    image_repo = "https://console.cloud.google.com/artifacts?project=${var.project_id}"
  }
}

output "github" {
  description = "Variables of the GitHub environment that deploys; null without github_deploy."
  value = one([
    for deploy in module.github_deploy : {
      PLAN_PROVIDER          = deploy.plan_provider
      DEPLOY_PROVIDER        = deploy.deploy_provider
      PLAN_SERVICE_ACCOUNT   = deploy.plan_account
      DEPLOY_SERVICE_ACCOUNT = deploy.deploy_account
    }
  ])
}

output "next_command" {
  description = "What to do after the first apply."
  value       = <<-EOT
    # 1. Give each secret its value; it is asked for, and not shown:
    %{for secret in values(local.secrets)~}
    python -m ops secrets set ${secret.name} --project=${var.project_id} --environment=${var.environment}
    %{endfor~}

    # 2. Enter this in Customer.io as a reporting webhook: ${module.function["webhook"].uri}

    # 3. See that everything is in place:
    python -m ops doctor --project=${var.project_id} --environment=${var.environment} \
      --region=${var.customerio.region} --webhook-url=${module.function["webhook"].uri}
  EOT
}
