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
      email  = "mock@example-project.iam.gserviceaccount.com"
      member = "serviceAccount:mock@example-project.iam.gserviceaccount.com"
      name   = "projects/example-project/serviceAccounts/mock@example-project.iam.gserviceaccount.com"
    }
  }

  mock_resource "google_pubsub_topic" {
    defaults = {
      id = "projects/example-project/topics/mock"
    }
  }
}

variables {
  project_id  = "example-project"
  region      = "europe-west1"
  environment = "dev"
}

run "rates_are_shared_out" {
  command = plan

  assert {
    condition     = output.instance_budget.track == { account_per_second = 1000, instances = 8, instance_per_second = 125 }
    error_message = "identify, track and sync share 1000 requests a second among 2 + 4 + 2 instances"
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
    condition     = output.instance_budget.track.instance_per_second == 250
    error_message = "3000 among 2 + 8 + 2 instances"
  }
}

# One mistake in each variable: every one of them is named.
run "mistakes" {
  command = plan

  variables {
    alert_thresholds    = { bounce_ratio = 5 }
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
    secrets             = { rotation = { first = "tomorrow" } }
    warehouse           = { expiry_days = 0 }
  }

  expect_failures = [
    var.alert_thresholds,
    var.customerio,
    var.environment,
    var.event_subscriptions,
    var.functions,
    var.github_deploy,
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
