# Metrics out of the functions' log lines. Labels hold words of ours only, so their number stays small.

resource "google_logging_metric" "jobs" {
  project     = var.project_id
  name        = "${var.name}-jobs"
  description = "Jobs settled, by kind, outcome, reason and lane."
  filter      = "${local.log_lines} AND jsonPayload.kind:* AND jsonPayload.outcome:* AND jsonPayload.function!=\"control\""

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
  description = "Faults of the functions' own code."
  filter      = "${local.log_lines} AND jsonPayload.outcome=\"fault\""

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
}

# Control writes a line when it pauses a kind, and one a minute for as long as the kind is paused, by itself or by an operator.
resource "google_logging_metric" "pauses" {
  for_each = {
    pauses = {
      description = "Kinds that control paused, because Customer.io turns them away or does not answer."
      filter      = "jsonPayload.outcome=\"paused\""
    }
    paused = {
      description = "Minutes in which a kind was paused."
      filter      = "jsonPayload.outcome=\"still_paused\""
    }
    paused-long = {
      description = "Minutes in which a kind was paused for longer than it should be."
      filter      = "jsonPayload.outcome=\"still_paused\" AND jsonPayload.paused_seconds>=${var.thresholds.pause_seconds}"
    }
  }

  project     = var.project_id
  name        = "${var.name}-${each.key}"
  description = each.value.description
  filter      = "${local.log_lines} AND jsonPayload.function=\"control\" AND ${each.value.filter}"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    dynamic "labels" {
      for_each = local.pause_labels

      content {
        key         = labels.key
        description = labels.value
      }
    }
  }

  label_extractors = { for label in keys(local.pause_labels) : label => "EXTRACT(jsonPayload.${label})" }
}

# What Cloud Run and Python write when we cannot. A traceback on standard error has no severity, so none is asked for.
# The words: https://cloud.google.com/run/docs/troubleshooting
resource "google_logging_metric" "platform" {
  for_each = {
    starts = {
      description = "Instances that ended before they took a request: an import that raises, a setting that is missing."
      words       = ["Traceback (most recent call last)", "The instance was not started"]
    }
    turned-away = {
      description = "Requests that found no instance: as many are busy as may run, or none came up in time."
      words       = ["aborted because there was no available instance"]
    }
    memory = {
      description = "Instances that were ended for using more memory than they have."
      words       = ["Consider increasing the memory limit"]
    }
  }

  project     = var.project_id
  name        = "${var.name}-${each.key}"
  description = each.value.description
  filter      = "${local.log_lines} AND (${join(" OR ", [for text in each.value.words : "textPayload:\"${text}\""])})"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
}

# "If a metric was created recently, it could take up to 10 minutes to become available": until then Cloud Monitoring refuses an alert on it,
# and the provider does not try again. https://github.com/hashicorp/terraform-provider-google/issues/11102
# Only alerts on these metrics wait; the dashboard may name a metric that is not there yet.
resource "time_sleep" "metrics_are_known" {
  create_duration = "600s"

  triggers = local.log_metric_names
}

locals {
  job_labels = {
    kind    = "which kind of job"
    outcome = "applied, already_done, unchanged, superseded, expired, dead_lettered, moved or retry_later"
    reason  = "why it was not applied"
    lane    = "main, bulk, retry or patient"
  }

  hold_labels = {
    function = "which function"
    reason   = "credentials_refused, wrong_region, ..."
  }

  pause_labels = {
    kind   = "which kind of job"
    reason = "credentials_refused, server_error, an operator's words, ..."
  }

  log_metric_names = merge(
    {
      jobs   = google_logging_metric.jobs.name
      events = google_logging_metric.events.name
      holds  = google_logging_metric.holds.name
      faults = google_logging_metric.faults.name
    },
    { for name, metric in google_logging_metric.platform : name => metric.name },
    { for name, metric in google_logging_metric.pauses : name => metric.name },
  )

  # For alerts, once the metrics are known; and for the dashboard, at once.
  log_metric       = { for name, metric in time_sleep.metrics_are_known.triggers : name => format(local.log_metric_filter, metric) }
  dashboard_metric = { for name, metric in local.log_metric_names : name => format(local.log_metric_filter, metric) }

  log_metric_filter = "metric.type = \"logging.googleapis.com/user/%s\" AND resource.type = \"cloud_run_revision\""
}
