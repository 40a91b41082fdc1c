# What the webhook promises Customer.io: an answer within 4 s that is not an error of ours. A broken promise delays all later events.

resource "google_monitoring_custom_service" "webhook" {
  project      = var.project_id
  service_id   = local.webhook
  display_name = local.webhook
}

resource "google_monitoring_slo" "webhook_answers" {
  project      = var.project_id
  service      = google_monitoring_custom_service.webhook.service_id
  slo_id       = "answers"
  display_name = "99.9 % of webhooks are answered without an error of ours, over 28 days"

  goal                = 0.999
  rolling_period_days = 28

  request_based_sli {
    good_total_ratio {
      bad_service_filter   = "${local.webhook_requests} AND metric.labels.response_code_class = \"5xx\""
      total_service_filter = local.webhook_requests
    }
  }
}

resource "google_monitoring_slo" "webhook_in_time" {
  project      = var.project_id
  service      = google_monitoring_custom_service.webhook.service_id
  slo_id       = "in-time"
  display_name = "99.9 % of webhooks are answered within 4 s, over 28 days"

  goal                = 0.999
  rolling_period_days = 28

  request_based_sli {
    distribution_cut {
      distribution_filter = "metric.type = \"run.googleapis.com/request_latencies\" AND ${format(local.exact_service, local.webhook)}"

      range {
        max = 4000
      }
    }
  }
}

locals {
  exact_service    = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"%s\""
  webhook_requests = "metric.type = \"run.googleapis.com/request_count\" AND ${format(local.exact_service, local.webhook)}"
}
