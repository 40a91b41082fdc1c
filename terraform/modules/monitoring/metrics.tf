# Metrics out of the functions' log lines. Labels hold words of ours only, so their number stays small.

resource "google_logging_metric" "jobs" {
  project     = var.project_id
  name        = "${var.name}-jobs"
  description = "Jobs settled, by kind, outcome, reason and lane."
  filter      = "${local.log_lines} AND jsonPayload.kind:* AND jsonPayload.outcome:*"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    dynamic "labels" {
      for_each = local.job_labels

      content {
        key         = labels.key
        description = labels.value
      }
    }
  }

  label_extractors = { for label in keys(local.job_labels) : label => "EXTRACT(jsonPayload.${label})" }
}

# The webhook names the metric of a Customer.io event as the line's reason.
resource "google_logging_metric" "events" {
  project     = var.project_id
  name        = "${var.name}-events"
  description = "Customer.io events that the webhook published, by what happened to the message."
  filter      = "${local.log_lines} AND jsonPayload.function=\"webhook\" AND jsonPayload.outcome=\"published\""

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    labels {
      key         = "metric"
      description = "sent, delivered, opened, bounced, ..."
    }
  }

  label_extractors = {
    metric = "EXTRACT(jsonPayload.reason)"
  }
}

# A function writes one CRITICAL line per instance and reason when only a person can help.
resource "google_logging_metric" "holds" {
  project     = var.project_id
  name        = "${var.name}-holds"
  description = "Instances that hold their jobs until a person acts: credentials refused, wrong region, table not as it should be."
  filter      = "${local.log_lines} AND severity=CRITICAL AND jsonPayload.reason:*"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    dynamic "labels" {
      for_each = local.hold_labels

      content {
        key         = labels.key
        description = labels.value
      }
    }
  }

  label_extractors = { for label in keys(local.hold_labels) : label => "EXTRACT(jsonPayload.${label})" }
}

resource "google_logging_metric" "faults" {
  project     = var.project_id
  name        = "${var.name}-faults"
  description = "Faults of the functions' own code, and instances that did not start."
  filter      = "${local.log_lines} AND (jsonPayload.outcome=\"fault\" OR (severity>=ERROR AND textPayload:\"Traceback\"))"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
}

# Cloud Monitoring knows a new log-based metric only after a while, and refuses an alert on one that it does not know.
resource "time_sleep" "metrics_are_known" {
  create_duration = "60s"

  triggers = {
    jobs   = google_logging_metric.jobs.name
    events = google_logging_metric.events.name
    holds  = google_logging_metric.holds.name
    faults = google_logging_metric.faults.name
  }
}

locals {
  job_labels = {
    kind    = "identify, track, send, broadcast, sync or events"
    outcome = "applied, already_done, unchanged, expired, dead_lettered or retry_later"
    reason  = "why it was not applied"
    lane    = "main or retry"
  }

  hold_labels = {
    function = "which function"
    reason   = "credentials_refused, wrong_region, ..."
  }

  log_metric = {
    for name, metric in time_sleep.metrics_are_known.triggers :
    name => "metric.type = \"logging.googleapis.com/user/${metric}\" AND resource.type = \"cloud_run_revision\""
  }
}
