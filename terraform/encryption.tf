# A key of the company's own (CMEK), where one is given. It encrypts what holds data: messages, rows, the ledger, secrets, sources and functions.
# Cloud Scheduler's jobs and alerts hold none. https://cloud.google.com/kms/docs/using-other-products#cmek_integrations

locals {
  is_encrypted = var.kms_key != null

  # Google's identities that use the key. Those of BigQuery and Cloud Storage have addresses of another form, and are asked for.
  # https://cloud.google.com/functions/docs/securing/cmek#granting_service_accounts_access_to_the_key
  encrypting_agents = local.is_encrypted ? {
    "artifactregistry.googleapis.com" = "gcp-sa-artifactregistry"
    "cloudfunctions.googleapis.com"   = "gcf-admin-robot"
    "firestore.googleapis.com"        = "gcp-sa-firestore"
    "pubsub.googleapis.com"           = "gcp-sa-pubsub"
    "run.googleapis.com"              = "serverless-robot-prod"
    "secretmanager.googleapis.com"    = "gcp-sa-secretmanager"
  } : {}
}

data "google_storage_project_service_account" "this" {
  count = local.is_encrypted ? 1 : 0

  project = var.project_id
}

data "google_bigquery_default_service_account" "this" {
  count = local.is_encrypted ? 1 : 0

  project = var.project_id
}

# These may encrypt and decrypt with this key, each what its service keeps. They take it away from nobody else: the key may serve other projects, too.
resource "google_kms_crypto_key_iam_member" "agents" {
  for_each = local.is_encrypted ? merge(
    { for service in keys(local.encrypting_agents) : service => time_sleep.agents_are_known.triggers[service] },
    {
      "bigquery.googleapis.com" = "serviceAccount:${data.google_bigquery_default_service_account.this[0].email}"
      "storage.googleapis.com"  = "serviceAccount:${data.google_storage_project_service_account.this[0].email_address}"
    },
  ) : {}

  crypto_key_id = var.kms_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value
}

# A service refuses a key that it may not use yet, and a new grant takes some minutes to be seen everywhere, "typically within 2 minutes".
# https://cloud.google.com/iam/docs/access-change-propagation
resource "time_sleep" "key_may_be_used" {
  count = local.is_encrypted ? 1 : 0

  create_duration = "120s"

  triggers = {
    key = var.kms_key
  }

  depends_on = [google_kms_crypto_key_iam_member.agents]
}

locals {
  # Whoever takes the key from here waits until it may be used.
  kms_key = one(time_sleep.key_may_be_used[*].triggers["key"])
}
