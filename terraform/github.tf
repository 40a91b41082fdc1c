# Deploys from GitHub Actions without a key, where asked for.
module "github_deploy" {
  source = "./modules/github_deploy"
  count  = var.github_deploy == null ? 0 : 1

  project_id    = var.project_id
  name          = "${local.prefix}cio"
  repository    = var.github_deploy.repository
  repository_id = var.github_deploy.repository_id
  branch        = var.github_deploy.branch
  source_bucket = module.source.build.bucket

  acts_as = merge(
    { for name, job in module.job : "${name}-function" => job.function_account },
    { for name, job in module.job : "${name}-push" => job.push_account },
    { for i, account in google_service_account.event_push : "event-push" => account.name },
    { webhook-function = module.webhook.account, build = module.source.build_account },
  )

  depends_on = [google_project_service.this]
}
