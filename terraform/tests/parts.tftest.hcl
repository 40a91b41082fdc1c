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
  project_id      = "example-project"
  pubsub_agent    = "serviceAccount:service-1@gcp-sa-pubsub.iam.gserviceaccount.com"
  storage_regions = ["europe-west1"]
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
    rotation    = { every_days = 90 }
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

run "a_column_that_would_be_dropped" {
  command = plan

  module {
    source = "./modules/warehouse"
  }

  variables {
    dataset_id  = "dev_customerio"
    location    = "EU"
    schemas     = "./schemas"
    views       = "./views"
    columns_now = { events = "[{\"name\": \"event_id\", \"type\": \"STRING\"}, {\"name\": \"kept_by_nobody\", \"type\": \"STRING\"}]" }
  }

  expect_failures = [google_bigquery_table.this["events"]]
}

run "a_field_that_would_be_dropped" {
  command = plan

  module {
    source = "./modules/warehouse"
  }

  variables {
    dataset_id  = "dev_customerio"
    location    = "EU"
    schemas     = "./schemas"
    views       = "./views"
    columns_now = { events = "[{\"name\": \"recipients\", \"type\": \"RECORD\", \"fields\": [{\"name\": \"battery\", \"type\": \"STRING\"}]}]" }
  }

  expect_failures = [google_bigquery_table.this["events"]]
}

run "deploys_from_one_environment" {
  module {
    source = "./modules/github_deploy"
  }

  variables {
    name          = "dev-cio"
    environment   = "dev"
    region        = "europe-west1"
    repository    = "example/functions"
    repository_id = "42"
    source_bucket = "sources"
    dataset_id    = "dev_customerio"
    functions     = {}
    subscriptions = {}
    acts_as       = {}
  }

  assert {
    condition     = endswith(google_service_account_iam_member.environment_deploys.member, "/attribute.deploys/42/dev")
    error_message = "only the environment deploys"
  }

  assert {
    condition     = strcontains(google_iam_workload_identity_pool_provider.deploy.attribute_condition, "assertion.repository_id == \"42\"")
    error_message = "only this repository gets in, by its number"
  }

  assert {
    condition     = strcontains(google_iam_workload_identity_pool_provider.deploy.attribute_condition, "assertion.ref == \"refs/heads/main\" && assertion.environment == \"dev\"")
    error_message = "only the branch, in its environment"
  }
}

run "logs_kept_in_part" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    name      = "dev-cio"
    functions = { track = "dev-cio-track", webhook = "dev-cio-webhook" }
    jobs      = { track = "dev-cio-track" }
    logs      = { jobs = 0.1, requests = 1 }

    thresholds = {
      dead_letters               = 0
      main_lane_age_seconds      = 900
      retry_lane_age_seconds     = 14400
      consumer_age_seconds       = 21600
      push_error_ratio           = 0.2
      function_latency_seconds   = 20
      webhook_latency_seconds    = 2
      webhook_unauthorized_ratio = 0.5
      webhook_silent_hours       = 0
      bounce_ratio               = 0.05
      spam_ratio                 = 0.001
      minimum_sends_for_a_ratio  = 200
      pause_seconds              = 900
    }
  }

  assert {
    condition     = endswith(google_logging_project_exclusion.this["jobs"].filter, " AND sample(insertId, 0.9000)")
    error_message = "nine of ten lines are left out"
  }

  assert {
    condition     = !contains(keys(google_logging_project_exclusion.this), "requests")
    error_message = "all of what is kept whole"
  }
}
