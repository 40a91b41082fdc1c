# GitHub signs a token for each job of a workflow; Google takes it instead of a key. Two identities: one that can only look, for plans, and one
# that changes what is there, for the branch and the GitHub environment alone. What neither may do, a person applies: see README.md.
# Access to Terraform's state is granted outside of it: docs/deploy.md.

resource "google_iam_workload_identity_pool" "github" {
  project                   = var.project_id
  workload_identity_pool_id = "${var.name}-github"
  display_name              = "GitHub Actions"
}

# Every repository on GitHub has the same issuer: only ours gets in, by its number too, which a later owner of its name does not get.
resource "google_iam_workload_identity_pool_provider" "plan" {
  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = "${var.name}-plan"
  display_name                       = "Plans of ${var.repository_id}"
  attribute_condition                = local.from_repository

  attribute_mapping = {
    "google.subject"  = "assertion.sub"
    "attribute.plans" = "assertion.repository_id"
  }

  oidc {
    issuer_uri = local.issuer
  }
}

# A job is trusted to deploy by its repository, its branch *and* its GitHub environment, whose reviewers it has then passed. A job without an
# environment has no such claim, and the condition fails. https://docs.github.com/en/actions/reference/security/oidc#oidc-token-claims
# Only this provider maps `deploys`, so no token of the other one can be taken for a deployer's.
resource "google_iam_workload_identity_pool_provider" "deploy" {
  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = "${var.name}-deploy"
  display_name                       = "Deploys of ${var.repository_id}"

  attribute_condition = join(" && ", [
    local.from_repository,
    "assertion.ref == \"refs/heads/${var.branch}\"",
    "assertion.environment == \"${var.environment}\"",
  ])

  attribute_mapping = {
    "google.subject"    = "assertion.sub"
    "attribute.deploys" = "assertion.repository_id + \"/\" + assertion.environment"
  }

  oidc {
    issuer_uri = local.issuer
  }
}

locals {
  issuer          = "https://token.actions.githubusercontent.com"
  from_repository = "assertion.repository == \"${var.repository}\" && assertion.repository_id == \"${var.repository_id}\""
  principals      = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github.name}"
}

resource "google_service_account" "plan" {
  project      = var.project_id
  account_id   = "${var.name}-plan"
  display_name = "Plans from GitHub"
}

resource "google_service_account" "deploy" {
  project      = var.project_id
  account_id   = "${var.name}-deploy"
  display_name = "Deploys from GitHub's ${var.branch} branch"
}

# Any workflow of the repository may plan. GitHub gives no token to a pull request from a fork.
resource "google_service_account_iam_member" "repository_plans" {
  service_account_id = google_service_account.plan.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "${local.principals}/attribute.plans/${var.repository_id}"
}

# Only a job on the branch that passed the environment's reviewers may deploy.
resource "google_service_account_iam_member" "environment_deploys" {
  service_account_id = google_service_account.deploy.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "${local.principals}/attribute.deploys/${var.repository_id}/${var.environment}"
}

locals {
  # To see the settings of what Terraform manages and who is granted what; no message, row, entry, log line or secret's value.
  looks = [
    "roles/artifactregistry.reader",
    "roles/bigquery.metadataViewer",
    "roles/cloudfunctions.viewer",
    "roles/iam.securityReviewer",
    "roles/iam.serviceAccountViewer",
    "roles/iam.workloadIdentityPoolViewer",
    "roles/monitoring.viewer",
    "roles/pubsub.viewer",
    "roles/run.viewer",
    "roles/secretmanager.viewer",
    "roles/serviceusage.serviceUsageViewer",
    "roles/storage.bucketViewer",
  ]

  role_prefix = replace(var.name, "-", "_")

  # What the deployer may do, by where it is granted. Nothing here creates an identity, grants a right, or reads a value, row or message.
  deployer_roles = {
    functions = {
      title       = "Deploys functions"
      permissions = ["cloudfunctions.functions.get", "cloudfunctions.functions.update", "run.services.get"]
    }
    subscriptions = {
      title       = "Changes settings of subscriptions"
      permissions = ["pubsub.subscriptions.get", "pubsub.subscriptions.update"]
    }
    tables = {
      title       = "Adds columns and changes settings of tables"
      permissions = ["bigquery.datasets.get", "bigquery.tables.get", "bigquery.tables.list", "bigquery.tables.update"]
    }
    telemetry = {
      title = "Changes metrics, alerts and dashboards"
      permissions = [
        "logging.exclusions.create", "logging.exclusions.delete", "logging.exclusions.update",
        "logging.logMetrics.create", "logging.logMetrics.delete", "logging.logMetrics.update",
        "monitoring.alertPolicies.create", "monitoring.alertPolicies.delete", "monitoring.alertPolicies.update",
        "monitoring.dashboards.create", "monitoring.dashboards.delete", "monitoring.dashboards.update",
        "monitoring.slos.create", "monitoring.slos.delete", "monitoring.slos.update",
      ]
    }
  }
}

# Firestore and Logging have no predefined role for settings alone: theirs also show entries and log lines.
resource "google_project_iam_custom_role" "looks" {
  project = var.project_id
  role_id = "${local.role_prefix}_looks"
  title   = "Sees settings of the ledger and of log-based metrics (${var.name})"

  permissions = [
    "cloudscheduler.jobs.get",
    "datastore.databases.get",
    "datastore.databases.getMetadata",
    "datastore.indexes.get",
    "datastore.indexes.list",
    "datastore.operations.get",
    "iam.roles.get",
    "logging.exclusions.get",
    "logging.exclusions.list",
    "logging.logMetrics.get",
    "logging.logMetrics.list",
  ]
}

resource "google_project_iam_custom_role" "deploys" {
  for_each = local.deployer_roles

  project     = var.project_id
  role_id     = "${local.role_prefix}_deploys_${each.key}"
  title       = "${each.value.title} (${var.name})"
  permissions = each.value.permissions
}

locals {
  # Composed, so that they are known at plan; taken from the roles, so that each grant waits for its role.
  role_names = {
    for key, role in merge(google_project_iam_custom_role.deploys, { looks = google_project_iam_custom_role.looks }) :
    key => "projects/${role.project}/roles/${role.role_id}"
  }
}

# Planner and deployer may look at settings, which is what a plan does.
resource "google_project_iam_member" "looks" {
  for_each = merge([
    for account, member in { plan = google_service_account.plan.member, deploy = google_service_account.deploy.member } : merge(
      { for role in local.looks : "${account}-${role}" => { role = role, member = member } },
      { "${account}-own" = { role = local.role_names["looks"], member = member } },
    )
  ]...)

  project = var.project_id
  role    = each.value.role
  member  = each.value.member
}

# The planner may read archives, to see whether they changed.
resource "google_storage_bucket_iam_member" "plan_reads_source" {
  bucket = var.source_bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.plan.member
}

# The deployer may put archives into the bucket of archives, and into no other.
resource "google_storage_bucket_iam_member" "deploy_uploads" {
  bucket = var.source_bucket
  role   = "roles/storage.objectAdmin"
  member = google_service_account.deploy.member
}

# The deployer may change these functions, one by one: IAM has no condition on names of functions.
# https://cloud.google.com/iam/docs/conditions-resource-attributes
resource "google_cloudfunctions2_function_iam_member" "deploy" {
  for_each = var.functions

  project        = var.project_id
  location       = var.region
  cloud_function = each.value
  role           = local.role_names["functions"]
  member         = google_service_account.deploy.member
}

# The deployer may change settings of these subscriptions, and neither read nor drop a message.
resource "google_pubsub_subscription_iam_member" "deploy" {
  for_each = var.subscriptions

  project      = var.project_id
  subscription = each.value
  role         = local.role_names["subscriptions"]
  member       = google_service_account.deploy.member
}

# The deployer may add columns in this dataset. It can read no row, and so make no view: BigQuery asks that of whoever makes one.
# https://cloud.google.com/bigquery/docs/views#required_permissions
resource "google_bigquery_dataset_iam_member" "deploy" {
  project    = var.project_id
  dataset_id = var.dataset_id
  role       = local.role_names["tables"]
  member     = google_service_account.deploy.member
}

# The deployer may change metrics, alerts and dashboards. Cloud Monitoring has no narrower place than the project.
resource "google_project_iam_member" "deploy_telemetry" {
  project = var.project_id
  role    = local.role_names["telemetry"]
  member  = google_service_account.deploy.member
}

# The deployer may make functions run, builds build and pushes sign as these service accounts, which Google demands of whoever changes such a
# thing. So whoever can merge code can make that code read what a function reads: reviews of the branch are the boundary.
resource "google_service_account_iam_member" "deploy_acts_as" {
  for_each = var.acts_as

  service_account_id = each.value
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.deploy.member
}
