# Each alert says what happened, who is hurt by it, and where its runbook is: the heading of the same name in docs/runbooks.md.

locals {
  minutes = { for n in [5, 10, 60] : n => "${n * 60}s" }

  # A share of messages is only judged where there are enough of them.
  enough_sent = {
    name     = "enough messages for a share to mean something"
    filter   = "${local.log_metric.events} AND metric.labels.metric = \"sent\""
    above    = var.thresholds.minimum_sends_for_a_ratio
    period   = local.minutes[60]
    aligner  = "ALIGN_DELTA"
    reducer  = "REDUCE_SUM"
    group_by = []
  }

  alerts = merge({
    dead-letters = {
      title    = "dead letters wait"
      severity = "WARNING"
      means    = "Jobs or events could not be applied and wait for a person. Each says why; they are kept for 31 days."
      conditions = [{
        name     = "messages in a dead-letter subscription"
        filter   = "${format(local.subscription, local.dead_letter_subscriptions)} AND metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\""
        above    = var.thresholds.dead_letters
        period   = local.minutes[5]
        aligner  = "ALIGN_MAX"
        reducer  = "REDUCE_MAX"
        group_by = ["resource.label.subscription_id"]
      }]
    }

    dead-letters-expire = {
      title    = "dead letters are about to be lost"
      severity = "CRITICAL"
      means    = "A dead letter has waited for 24 days. Pub/Sub deletes it at 31."
      conditions = [{
        name     = "age of the oldest dead letter"
        filter   = "${format(local.subscription, local.dead_letter_subscriptions)} AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
        above    = 24 * 86400
        period   = local.minutes[5]
        aligner  = "ALIGN_MAX"
        reducer  = "REDUCE_MAX"
        group_by = ["resource.label.subscription_id"]
      }]
    }

    jobs-wait = {
      title    = "jobs wait too long"
      severity = "ERROR"
      means    = "The oldest job has waited longer than it should: Customer.io or a function does not keep up. Nothing is lost while it waits."
      conditions = [
        {
          name     = "age of the oldest job in a main lane"
          filter   = "${format(local.subscription, local.main_subscriptions)} AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
          above    = var.thresholds.main_lane_age_seconds
          period   = local.minutes[5]
          aligner  = "ALIGN_MAX"
          reducer  = "REDUCE_MAX"
          group_by = ["resource.label.subscription_id"]
        },
        {
          name     = "age of the oldest job in a retry lane"
          filter   = "${format(local.subscription, local.retry_subscriptions)} AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
          above    = var.thresholds.retry_lane_age_seconds
          period   = local.minutes[5]
          aligner  = "ALIGN_MAX"
          reducer  = "REDUCE_MAX"
          group_by = ["resource.label.subscription_id"]
        },
      ]
    }

    pushes-fail = {
      title    = "pushes fail"
      severity = "ERROR"
      means    = "A large share of pushes to a function is not acknowledged. Those jobs come again, first within a minute, later within ten."
      conditions = [{
        name     = "share of pushes that are not acknowledged, by subscription"
        filter   = "${format(local.subscription, local.main_subscriptions)} AND metric.type = \"pubsub.googleapis.com/subscription/push_request_count\" AND metric.labels.response_class != \"ack\""
        above    = var.thresholds.push_error_ratio
        period   = local.minutes[10]
        aligner  = "ALIGN_DELTA"
        reducer  = "REDUCE_SUM"
        group_by = ["resource.label.subscription_id"]
        base     = "${format(local.subscription, local.main_subscriptions)} AND metric.type = \"pubsub.googleapis.com/subscription/push_request_count\""
      }]
    }

    functions-slow = {
      title    = "functions are slow"
      severity = "WARNING"
      means    = "One job in a hundred takes longer than it should. At 50 s the function gives up and the job comes again."
      conditions = [{
        name     = "99th percentile of a function's answers, in milliseconds"
        filter   = "${format(local.service, local.job_functions)} AND metric.type = \"run.googleapis.com/request_latencies\""
        above    = var.thresholds.function_latency_seconds * 1000
        period   = local.minutes[10]
        aligner  = "ALIGN_PERCENTILE_99"
        reducer  = "REDUCE_MAX"
        group_by = ["resource.label.service_name"]
      }]
    }

    jobs-held = {
      title    = "a function holds its jobs"
      severity = "CRITICAL"
      means    = "Only a person can help: Customer.io refuses the credentials, the region is wrong, or the table is not as it should be. Nothing is lost; jobs go on by themselves once it is put right."
      conditions = [{
        name     = "functions that hold their jobs"
        filter   = local.log_metric.holds
        above    = 0
        period   = local.minutes[5]
        aligner  = "ALIGN_DELTA"
        reducer  = "REDUCE_SUM"
        group_by = ["metric.label.function", "metric.label.reason"]
      }]
    }

    faults = {
      title    = "a function has a fault"
      severity = "ERROR"
      means    = "Our own code raised what it should not, or does not start. The job comes again and most likely fails again."
      conditions = [{
        name     = "faults in five minutes"
        filter   = local.log_metric.faults
        above    = 0
        period   = local.minutes[5]
        aligner  = "ALIGN_DELTA"
        reducer  = "REDUCE_SUM"
        group_by = ["resource.label.service_name"]
      }]
    }

    webhook-unauthorized = {
      title    = "webhooks are refused"
      severity = "ERROR"
      means    = "The webhook answers 401. Either somebody is trying it, or the signing key here is not Customer.io's any more, and events wait there."
      conditions = [{
        name     = "401 answers in five minutes"
        filter   = "${format(local.service, local.webhook)} AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code = \"401\""
        above    = var.thresholds.webhook_unauthorized
        period   = local.minutes[5]
        aligner  = "ALIGN_DELTA"
        reducer  = "REDUCE_SUM"
        group_by = []
      }]
    }

    webhook-unavailable = {
      title    = "the webhook cannot take events"
      severity = "ERROR"
      means    = "The webhook answers 5xx: it cannot publish, or does not run. Customer.io holds back all later events and tries for seven days."
      conditions = [{
        name     = "5xx answers in five minutes"
        filter   = "${format(local.service, local.webhook)} AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"5xx\""
        above    = 0
        period   = local.minutes[5]
        aligner  = "ALIGN_DELTA"
        reducer  = "REDUCE_SUM"
        group_by = []
      }]
    }

    webhook-slow = {
      title    = "the webhook is slow"
      severity = "WARNING"
      means    = "Customer.io waits 4 s, then holds back all later events."
      conditions = [{
        name     = "99th percentile of the webhook's answers, in milliseconds"
        filter   = "${format(local.service, local.webhook)} AND metric.type = \"run.googleapis.com/request_latencies\""
        above    = var.thresholds.webhook_latency_seconds * 1000
        period   = local.minutes[10]
        aligner  = "ALIGN_PERCENTILE_99"
        reducer  = "REDUCE_MAX"
        group_by = []
      }]
    }

    bounces = {
      title    = "many messages bounce"
      severity = "WARNING"
      means    = "More messages than usual bounce. Mailbox providers lower a sender's reputation for it."
      conditions = [local.enough_sent, {
        name     = "bounced messages per sent one, in an hour"
        filter   = "${local.log_metric.events} AND metric.labels.metric = \"bounced\""
        above    = var.thresholds.bounce_ratio
        period   = local.minutes[60]
        aligner  = "ALIGN_DELTA"
        reducer  = "REDUCE_SUM"
        group_by = []
        base     = local.enough_sent.filter
      }]
    }

    spam = {
      title    = "people mark messages as spam"
      severity = "ERROR"
      means    = "Mailbox providers block a sender for this. Gmail asks for less than 0.1 %, and blocks from 0.3 %."
      conditions = [local.enough_sent, {
        name     = "messages marked as spam per sent one, in an hour"
        filter   = "${local.log_metric.events} AND metric.labels.metric = \"spammed\""
        above    = var.thresholds.spam_ratio
        period   = local.minutes[60]
        aligner  = "ALIGN_DELTA"
        reducer  = "REDUCE_SUM"
        group_by = []
        base     = local.enough_sent.filter
      }]
    }
    }, var.rotation_reminders == null ? {} : {
    secret-due = {
      title    = "a secret is due for rotation"
      severity = "WARNING"
      means    = "The days that were set for a secret are over. It goes on working until it is changed."
      conditions = [{
        name     = "reminders that nobody has acknowledged"
        filter   = "${format(local.subscription, coalesce(var.rotation_reminders, "-"))} AND metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\""
        above    = 0
        period   = local.minutes[5]
        aligner  = "ALIGN_MAX"
        reducer  = "REDUCE_MAX"
        group_by = []
      }]
    }
  })
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local.alerts

  project      = var.project_id
  display_name = "${var.name}: ${each.value.title}"
  severity     = each.value.severity
  # Two conditions for a share: the share itself, and enough messages. Otherwise each condition is a reason of its own.
  combiner = contains(["bounces", "spam"], each.key) ? "AND" : "OR"

  notification_channels = concat(
    tolist(var.notifications.channels),
    [for channel in google_monitoring_notification_channel.email : channel.id],
  )

  dynamic "conditions" {
    for_each = each.value.conditions

    content {
      display_name = conditions.value.name

      condition_threshold {
        filter             = conditions.value.filter
        denominator_filter = try(conditions.value.base, null)
        comparison         = "COMPARISON_GT"
        threshold_value    = conditions.value.above
        duration           = "0s"

        aggregations {
          alignment_period     = conditions.value.period
          per_series_aligner   = conditions.value.aligner
          cross_series_reducer = conditions.value.reducer
          group_by_fields      = conditions.value.group_by
        }

        dynamic "denominator_aggregations" {
          for_each = can(conditions.value.base) ? [conditions.value] : []

          content {
            alignment_period     = denominator_aggregations.value.period
            per_series_aligner   = denominator_aggregations.value.aligner
            cross_series_reducer = denominator_aggregations.value.reducer
            group_by_fields      = denominator_aggregations.value.group_by
          }
        }
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "${each.value.means}\n\nWhat to do: docs/runbooks.md, ${each.key}."

    dynamic "links" {
      for_each = var.runbooks_url == null ? [] : [var.runbooks_url]

      content {
        display_name = "Runbook"
        url          = "${links.value}#${each.key}"
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }
}
