# The logic of modules/job and modules/function, with a provider that makes up what only the cloud could give.

# No archive is read or written: what is in it is tests/terraform/test_sources.py's.
mock_provider "archive" {}

mock_provider "google" {
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
  project_id   = "example-project"
  region       = "europe-west1"
  topic        = "dev-cio-track"
  pubsub_agent = "serviceAccount:service-1@gcp-sa-pubsub.iam.gserviceaccount.com"

  push_account_id = "dev-cio-track-push"
  storage_regions = ["europe-west1"]

  function = {
    name            = "dev-cio-track"
    member          = "serviceAccount:track@example-project.iam.gserviceaccount.com"
    uri             = "https://mock.a.run.app"
    timeout_seconds = 50
  }

  lanes = {
    main  = { minimum_backoff_seconds = 10, maximum_backoff_seconds = 60, max_delivery_attempts = 5, ack_deadline_seconds = 60 }
    retry = { minimum_backoff_seconds = 60, maximum_backoff_seconds = 600, max_delivery_attempts = 100, ack_deadline_seconds = 60 }
  }
}

run "two_lanes" {
  module {
    source = "./modules/job"
  }

  assert {
    condition     = google_pubsub_subscription.lane["main"].dead_letter_policy[0].max_delivery_attempts == 5
    error_message = "the main lane gives up after 5 attempts"
  }

  assert {
    condition     = google_pubsub_subscription.lane["retry"].retry_policy[0].maximum_backoff == "600s"
    error_message = "the retry lane waits up to 10 minutes"
  }

  assert {
    condition     = alltrue([for lane in google_pubsub_subscription.lane : lane.expiration_policy[0].ttl == ""])
    error_message = "no lane expires"
  }

  assert {
    condition = alltrue([
      for lane in google_pubsub_subscription.lane : lane.push_config[0].oidc_token[0].audience == "https://mock.a.run.app"
    ])
    error_message = "tokens are made out to the function"
  }

  assert {
    condition     = google_pubsub_subscription.lane["retry"].name == "dev-cio-track-retry"
    error_message = "a subscription is named like the topic it reads"
  }
}

run "bulk_jobs_have_a_lane_of_their_own" {
  module {
    source = "./modules/job"
  }

  variables {
    lanes = {
      main  = { minimum_backoff_seconds = 2, maximum_backoff_seconds = 60, max_delivery_attempts = 20, ack_deadline_seconds = 60 }
      bulk  = { minimum_backoff_seconds = 5, maximum_backoff_seconds = 600, max_delivery_attempts = 100, ack_deadline_seconds = 60 }
      retry = { minimum_backoff_seconds = 60, maximum_backoff_seconds = 600, max_delivery_attempts = 100, ack_deadline_seconds = 60 }
    }
  }

  assert {
    condition     = google_pubsub_subscription.lane["bulk"].name == "dev-cio-track-bulk" && google_pubsub_subscription.lane["bulk"].filter == "attributes.priority = \"bulk\" AND NOT attributes:bulk_bell"
    error_message = "the bulk lane takes bulk jobs alone"
  }

  assert {
    condition     = length(google_pubsub_subscription.lane["bulk"].push_config) == 0
    error_message = "the bulk lane is pulled"
  }

  assert {
    condition     = one(google_pubsub_subscription.bell).filter == "attributes.priority = \"bulk\"" && one(google_pubsub_subscription.bell).push_config[0].push_endpoint == "https://mock.a.run.app"
    error_message = "its bell pushes bulk jobs and rings to the function"
  }

  assert {
    condition     = length(one(google_pubsub_subscription.bell).dead_letter_policy) == 0 && one(google_pubsub_subscription.bell).message_retention_duration == "600s"
    error_message = "rings are forgotten after ten minutes"
  }

  assert {
    condition     = google_pubsub_subscription_iam_member.function_pulls[0].subscription == "dev-cio-track-bulk"
    error_message = "the function may pull this lane"
  }

  assert {
    condition     = google_pubsub_subscription.lane["main"].filter == "NOT attributes.priority = \"bulk\"" && google_pubsub_subscription.lane["retry"].filter == null
    error_message = "the main lane takes all other jobs, the retry lane what moved there"
  }
}

run "ordered_jobs_have_one_lane" {
  module {
    source = "./modules/job"
  }

  variables {
    ordered = true
    lanes = {
      patient = { minimum_backoff_seconds = 2, maximum_backoff_seconds = 600, max_delivery_attempts = 100, ack_deadline_seconds = 60 }
    }
  }

  assert {
    condition     = [for lane in google_pubsub_subscription.lane : lane.name] == ["dev-cio-track"]
    error_message = "one subscription pushes, named like its topic"
  }

  assert {
    condition     = google_pubsub_subscription.lane["patient"].enable_message_ordering
    error_message = "it keeps the order of each ordering key"
  }

  assert {
    condition     = length(google_pubsub_topic.retry) == 0
    error_message = "there is no other topic that a job could be overtaken in"
  }
}

run "ordered_jobs_with_a_retry_lane" {
  command = plan

  module {
    source = "./modules/job"
  }

  variables {
    lanes = {
      patient = { minimum_backoff_seconds = 2, maximum_backoff_seconds = 600, max_delivery_attempts = 100, ack_deadline_seconds = 60 }
      retry   = { minimum_backoff_seconds = 60, maximum_backoff_seconds = 600, max_delivery_attempts = 100, ack_deadline_seconds = 60 }
    }
  }

  expect_failures = [var.lanes]
}

run "applications_may_publish" {
  command = plan

  module {
    source = "./modules/job"
  }

  variables {
    publishers = ["serviceAccount:shop@example-project.iam.gserviceaccount.com"]
  }

  assert {
    condition     = length(google_pubsub_topic_iam_member.publishers) == 1
    error_message = "each application gets a grant"
  }
}

run "ack_deadline_below_the_timeout" {
  command = plan

  module {
    source = "./modules/job"
  }

  variables {
    function = {
      name            = "dev-cio-track"
      member          = "serviceAccount:track@example-project.iam.gserviceaccount.com"
      uri             = "https://mock.a.run.app"
      timeout_seconds = 60
    }
  }

  expect_failures = [google_pubsub_subscription.lane["main"], google_pubsub_subscription.lane["retry"]]
}

run "too_few_attempts" {
  command = plan

  module {
    source = "./modules/job"
  }

  variables {
    lanes = {
      main  = { minimum_backoff_seconds = 10, maximum_backoff_seconds = 60, max_delivery_attempts = 4, ack_deadline_seconds = 60 }
      retry = { minimum_backoff_seconds = 60, maximum_backoff_seconds = 600, max_delivery_attempts = 100, ack_deadline_seconds = 60 }
    }
  }

  expect_failures = [var.lanes]
}

run "a_secret_as_a_value" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    name        = "dev-cio-track"
    entry_point = "track"
    source_root = ".."
    account     = { email = "track@example-project.iam.gserviceaccount.com" }

    build = {
      bucket          = "sources"
      service_account = "projects/example-project/serviceAccounts/build@example-project.iam.gserviceaccount.com"
      repository      = "projects/example-project/locations/europe-west1/repositories/images"
    }

    environment = { CUSTOMERIO_TRACK_API_KEY = "value" }
    size        = { concurrency = 1, timeout_seconds = 50, memory = "512Mi", max_instances = 1 }
  }

  expect_failures = [var.environment]
}
