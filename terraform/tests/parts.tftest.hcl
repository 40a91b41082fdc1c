# The logic of the smaller modules.

mock_provider "google" {
  mock_resource "google_pubsub_topic" {
    defaults = {
      id = "projects/example-project/topics/mock"
    }
  }

  mock_resource "google_service_account" {
    defaults = {
      email  = "mock@example-project.iam.gserviceaccount.com"
      member = "serviceAccount:mock@example-project.iam.gserviceaccount.com"
      name   = "projects/example-project/serviceAccounts/mock@example-project.iam.gserviceaccount.com"
    }
  }
}

variables {
  project_id   = "example-project"
  pubsub_agent = "serviceAccount:service-1@gcp-sa-pubsub.iam.gserviceaccount.com"
}

run "a_pulled_consumer" {
  command = plan

  module {
    source = "./modules/event_subscription"
  }

  variables {
    name    = "dev-cio-events-crm"
    topic   = "projects/example-project/topics/dev-cio-events"
    pullers = ["serviceAccount:crm@example-project.iam.gserviceaccount.com"]
  }

  assert {
    condition     = length(google_pubsub_subscription.this.push_config) == 0
    error_message = "without an endpoint nothing is pushed"
  }
}

run "a_push_without_an_identity" {
  command = plan

  module {
    source = "./modules/event_subscription"
  }

  variables {
    name          = "dev-cio-events-crm"
    topic         = "projects/example-project/topics/dev-cio-events"
    push_endpoint = "https://crm.example.com/"
  }

  expect_failures = [var.push_endpoint]
}

run "dead_letters_kept_too_long" {
  command = plan

  module {
    source = "./modules/dead_letter"
  }

  variables {
    name           = "dev-cio-track-dead-letter"
    retention_days = 32
  }

  expect_failures = [var.retention_days]
}

run "a_secret_where_google_likes" {
  command = plan

  module {
    source = "./modules/secret"
  }

  variables {
    secret_id   = "dev-cio-site-id"
    description = "Read by track."
    readers     = {}
  }

  assert {
    condition     = length(google_secret_manager_secret.this.replication[0].auto) == 1
    error_message = "no regions: Google chooses"
  }

  assert {
    condition     = length(google_secret_manager_secret.this.rotation) == 0
    error_message = "no reminder unless asked for"
  }
}

run "a_secret_in_two_regions_with_reminders" {
  command = plan

  module {
    source = "./modules/secret"
  }

  variables {
    secret_id   = "dev-cio-site-id"
    description = "Read by track."
    readers     = { track = "serviceAccount:track@example-project.iam.gserviceaccount.com" }
    replicas    = ["europe-west1", "europe-west4"]
    reminders   = "projects/example-project/topics/dev-cio-secret-rotation"
    rotation    = { first = "2030-01-01T00:00:00Z", every_days = 90 }
  }

  assert {
    condition     = length(google_secret_manager_secret.this.replication[0].user_managed[0].replicas) == 2
    error_message = "kept in both regions"
  }

  assert {
    condition     = google_secret_manager_secret.this.rotation[0].rotation_period == "7776000s"
    error_message = "a reminder every 90 days"
  }

  assert {
    condition     = length(google_secret_manager_secret_iam_member.readers) == 1
    error_message = "one function may read it"
  }
}

run "events_for_a_month" {
  command = plan

  module {
    source = "./modules/warehouse"
  }

  variables {
    dataset_id  = "dev_customerio"
    location    = "EU"
    schemas     = "./schemas"
    views       = "./views"
    expiry_days = 30
    protected   = false
  }

  assert {
    condition     = google_bigquery_table.this["events"].time_partitioning[0].expiration_ms == 2592000000
    error_message = "partitions are dropped after 30 days"
  }

  assert {
    condition     = google_bigquery_table.this["events"].time_partitioning[0].type == "DAY"
    error_message = "a partition for each day"
  }

  assert {
    condition     = strcontains(google_bigquery_table.view_1["events_deduplicated"].view[0].query, "example-project.dev_customerio.events")
    error_message = "views read this dataset"
  }
}

run "a_protected_ledger" {
  command = plan

  module {
    source = "./modules/ledger"
  }

  variables {
    database = "dev-cio-ledger"
    location = "eur3"
    writers  = {}
  }

  assert {
    condition     = google_firestore_database.this.delete_protection_state == "DELETE_PROTECTION_ENABLED"
    error_message = "protected unless told otherwise"
  }
}

run "deploys_from_one_branch" {
  module {
    source = "./modules/github_deploy"
  }

  variables {
    name          = "dev-cio"
    repository    = "example/functions"
    repository_id = "42"
    source_bucket = "sources"
    acts_as       = {}
  }

  assert {
    condition     = endswith(google_service_account_iam_member.branch_deploys.member, "/attribute.branch/example/functions@refs/heads/main")
    error_message = "only the branch itself deploys"
  }

  assert {
    condition     = strcontains(google_iam_workload_identity_pool_provider.github.attribute_condition, "assertion.repository_id == \"42\"")
    error_message = "only this repository gets in, by its number"
  }
}
