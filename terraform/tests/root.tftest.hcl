# What the root works out, and what it refuses.

# No archive is read or written: what is in it is tests/terraform/test_sources.py's.
mock_provider "archive" {}

mock_provider "google" {
  mock_data "google_project" {
    defaults = {
      number = "123456789012"
    }
  }

  mock_resource "google_service_account" {
    defaults = {
      email  = "mock@acme-project.iam.gserviceaccount.com"
      member = "serviceAccount:mock@acme-project.iam.gserviceaccount.com"
      name   = "projects/acme-project/serviceAccounts/mock@acme-project.iam.gserviceaccount.com"
    }
  }

  mock_resource "google_pubsub_topic" {
    defaults = {
      id = "projects/acme-project/topics/mock"
    }
  }
}

# The beta provider makes nothing but identities.
mock_provider "google-beta" {}

variables {
  project_id  = "acme-project"
  region      = "europe-west1"
  environment = "dev"
}

run "rates_are_shared_out" {
  command = plan

  assert {
    condition     = output.instance_budget.track == { account_per_second = 1000, instances = 3, instance_per_second = 333.3333 }
    error_message = "identify, track and sync share 1000 requests a second among 1 + 1 + 1 instances"
  }

  assert {
    condition     = output.instance_budget.broadcast.instance_per_second == 0.1
    error_message = "one broadcast per 10 s"
  }
}

run "an_account_with_rates_of_its_own" {
  command = plan

  variables {
    customerio = { rates = { track = { requests = 3000 } } }
    functions  = { track = { max_instances = 8 } }
  }

  assert {
    condition     = output.instance_budget.track.instance_per_second == 300
    error_message = "3000 among 1 + 8 + 1 instances"
  }
}

# One mistake in each variable: every one of them is named.
run "mistakes" {
  command = plan

  variables {
    alert_thresholds    = { bounce_ratio = 5 }
    logs                = { jobs = 5 }
    message_regions     = ["europe"]
    source_root         = "/nowhere"
    customerio          = { region = "europe-west1" }
    environment         = "development-of-ours"
    event_subscriptions = { crm = { push_endpoint = "https://crm.example.com/", pullers = ["user:somebody@example.com"] } }
    functions           = { identfy = { max_instances = 2 } }
    github_deploy       = { repository = "functions", repository_id = "42" }
    notifications       = { channels = ["pagerduty"] }
    operators           = ["allUsers"]
    project_id          = "Our Project"
    publishers          = { send = ["allAuthenticatedUsers"] }
    region              = "europe"
    runbooks_url        = "docs/runbooks.md"
    secrets             = { rotation = { every_days = 0 } }
    warehouse           = { expiry_days = 0 }
  }

  expect_failures = [
    var.alert_thresholds,
    var.customerio,
    var.environment,
    var.event_subscriptions,
    var.functions,
    var.github_deploy,
    var.logs,
    var.message_regions,
    var.source_root,
    var.notifications,
    var.operators,
    var.project_id,
    var.publishers,
    var.region,
    var.runbooks_url,
    var.secrets,
    var.warehouse,
  ]
}

run "two_broadcast_instances" {
  command = plan

  variables {
    functions = { broadcast = { max_instances = 2 } }
  }

  expect_failures = [var.functions]
}

run "placeholders" {
  command = plan

  variables {
    project_id = "example-customerio-dev"
    operators  = ["group:messaging-operators@example.com"]
  }

  expect_failures = [data.google_project.this]
}

# The tables are looked at step by step, so that none is asked for that is not there.
run "tables_that_are_there" {
  command = plan

  override_data {
    target = data.google_bigquery_datasets.now
    values = { datasets = [{ dataset_id = "dev_customerio", friendly_name = "", labels = {}, location = "EU" }] }
  }

  override_data {
    target = data.google_bigquery_tables.now
    values = { tables = [{ table_id = "events", labels = {} }, { table_id = "somebody_elses", labels = {} }] }
  }

  override_data {
    target = data.google_bigquery_table.now
    values = { schema = "[{\"name\": \"event_id\", \"type\": \"STRING\"}]" }
  }

  assert {
    condition     = join(",", keys(data.google_bigquery_table.now)) == "events"
    error_message = "our tables are looked at, and no other"
  }
}

run "nobody_is_written_to_outside_prod" {
  command = plan

  assert {
    condition     = output.recipients == { everybody = false }
    error_message = "an environment that is not prod writes to nobody unless it names them"
  }
}

run "nobody_may_delete_unless_named" {
  command = plan

  assert {
    condition     = length(module.warehouse.erasers) == 0
    error_message = "somebody may delete rows without being named"
  }
}

run "privacy_officers_may_delete" {
  command = plan

  variables {
    privacy_officers = ["group:privacy@company.test"]
  }

  assert {
    condition     = length(module.warehouse.erasers) == 2
    error_message = "a privacy officer may delete rows of both tables"
  }
}

run "privacy_officers_with_mistakes" {
  command = plan

  variables {
    privacy_officers = ["allUsers"]
  }

  expect_failures = [var.privacy_officers]
}

run "prod_writes_to_everybody" {
  command = plan

  variables {
    environment = "prod"
  }

  assert {
    condition     = output.recipients == { everybody = true }
    error_message = "prod writes to everybody"
  }
}

run "named_recipients_narrow_prod_too" {
  command = plan

  variables {
    environment = "prod"
    recipients  = { domains = ["example.com"] }
  }

  assert {
    condition     = !output.recipients.everybody && output.recipients.domains == toset(["example.com"])
    error_message = "naming recipients leaves everybody else out"
  }
}

run "recipients_with_mistakes" {
  command = plan

  variables {
    recipients = { domains = ["@example.com"], phone_prefixes = ["00"], redirect_to = "a, b" }
  }

  expect_failures = [var.recipients]
}
