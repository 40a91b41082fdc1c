# Deploys from GitHub Actions without a key, where asked for.
module "github_deploy" {
  source = "./modules/github_deploy"
  count  = var.github_deploy == null ? 0 : 1

  project_id    = local.project
  name          = "${local.prefix}cio"
  environment   = var.environment
  repository    = var.github_deploy.repository
  repository_id = var.github_deploy.repository_id
  branch        = var.github_deploy.branch
  source_bucket = module.source.build.bucket
  dataset_id    = module.warehouse.dataset_id
  region        = var.region

  functions     = { for name, function in local.deployed : name => function.name }
  subscriptions = merge([for key, job in module.job : { for lane, subscription in job.subscriptions : "${key}-${lane}" => subscription }]...)

  acts_as = merge(
    { for name, account in google_service_account.function : "${name}-function" => account.name },
    { for name, job in module.job : "${name}-push" => job.push_account },
    { build = module.source.build_account },
  )
}
