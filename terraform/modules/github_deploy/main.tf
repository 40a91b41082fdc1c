# GitHub signs a token for each workflow run; Google takes it instead of a key. Two identities: one that can only look, for plans of pull
# requests, and one that deploys, for the branch alone. Access to Terraform's state is granted outside of it: docs/deploy.md.

resource "google_iam_workload_identity_pool" "github" {
  project                   = var.project_id
  workload_identity_pool_id = "${var.name}-github"
  display_name              = "GitHub Actions"
}

resource "google_iam_workload_identity_pool_provider" "github" {
  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = "${var.name}-actions"
  display_name                       = var.repository

  attribute_mapping = {
    "google.subject"       = "assertion.sub"
    "attribute.repository" = "assertion.repository"
    "attribute.branch"     = "assertion.repository + \"@\" + assertion.ref"
  }

  # Every repository on GitHub has the same issuer: only ours gets in, by its number too, which a later owner of its name does not get.
  attribute_condition = "assertion.repository == \"${var.repository}\" && assertion.repository_id == \"${var.repository_id}\""

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

locals {
  principals = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github.name}"
}

resource "google_service_account" "plan" {
  project      = var.project_id
  account_id   = "${var.name}-plan"
  display_name = "Plans from GitHub pull requests"
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
  member             = "${local.principals}/attribute.repository/${var.repository}"
}

# Only a workflow that runs on the branch itself may deploy.
resource "google_service_account_iam_member" "branch_deploys" {
  service_account_id = google_service_account.deploy.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "${local.principals}/attribute.branch/${var.repository}@refs/heads/${var.branch}"
}

# The planner may look at settings of what Terraform manages, at who is granted what, and at logs, which hold nothing personal; at no
# message, row or secret's value.
resource "google_project_iam_member" "plan" {
  for_each = toset([
    "roles/artifactregistry.reader",
    "roles/bigquery.metadataViewer",
    "roles/cloudfunctions.viewer",
    "roles/datastore.viewer", # Firestore has no role for its settings alone; the ledger holds keys and hashes
    "roles/iam.securityReviewer",
    "roles/iam.serviceAccountViewer",
    "roles/iam.workloadIdentityPoolViewer",
    "roles/logging.viewer", # the least that shows log-based metrics
    "roles/monitoring.viewer",
    "roles/pubsub.viewer",
    "roles/run.viewer",
    "roles/secretmanager.viewer",
    "roles/serviceusage.serviceUsageViewer",
    "roles/storage.bucketViewer",
  ])

  project = var.project_id
  role    = each.value
  member  = google_service_account.plan.member
}

# The planner may read archives, to see whether they changed.
resource "google_storage_bucket_iam_member" "plan_reads_source" {
  bucket = var.source_bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.plan.member
}

# The deployer may create, change and delete each kind of thing that Terraform manages.
resource "google_project_iam_member" "deploy" {
  for_each = toset([
    "roles/artifactregistry.admin",
    "roles/bigquery.admin",
    "roles/cloudfunctions.admin",
    "roles/datastore.owner",
    "roles/iam.securityReviewer", # to see grants that it may not change
    "roles/iam.serviceAccountAdmin",
    "roles/iam.workloadIdentityPoolAdmin",
    "roles/logging.configWriter",
    "roles/monitoring.editor",
    "roles/pubsub.admin",
    "roles/run.admin",
    "roles/secretmanager.admin", # it could read values too: Google has no narrower role that creates secrets
    "roles/serviceusage.serviceUsageAdmin",
  ])

  project = var.project_id
  role    = each.value
  member  = google_service_account.deploy.member
}

# The deployer may change the bucket of archives and put archives into it. Another bucket it can neither change nor create.
resource "google_storage_bucket_iam_member" "deploy_uploads" {
  bucket = var.source_bucket
  role   = "roles/storage.admin"
  member = google_service_account.deploy.member
}

# The deployer may grant and revoke on the project only the roles that functions, builder and operators get there. It cannot make
# itself an owner: a change of the roles above is applied by a person.
resource "google_project_iam_member" "deploy_grants" {
  project = var.project_id
  role    = "roles/resourcemanager.projectIamAdmin"
  member  = google_service_account.deploy.member

  condition {
    title      = "only roles that the functions need"
    expression = "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['${join("', '", local.grantable)}'])"
  }
}

# The deployer may make functions run, builds build and pushes sign as these service accounts, which Google demands of whoever
# creates such a thing. As an admin of service accounts it could let itself be others, in sight of the audit log.
resource "google_service_account_iam_member" "deploy_acts_as" {
  for_each = var.acts_as

  service_account_id = each.value
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.deploy.member
}

locals {
  # What is granted on the project anywhere in this repository.
  grantable = [
    "roles/datastore.user",
    "roles/logging.logWriter",
    "roles/monitoring.viewer",
    "roles/pubsub.viewer",
    "roles/storage.objectViewer",
  ]
}
