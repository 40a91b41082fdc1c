# What must be known, in two groups: alerts on Google's metrics, which exist at once, and alerts on our log-based ones, which must wait.

locals {
  minutes = { for n in [5, 10, 30, 60, 360] : n => "${n * 60}s" }

  # A share of messages is only judged where there are enough of them.
  enough_sent = {
    name    = "enough messages for a share to mean something"
    filter  = "${local.log_metric.events} AND metric.labels.metric = \"sent\""
    above   = var.thresholds.minimum_sends_for_a_ratio
    period  = local.minutes[60]
    aligner = "ALIGN_DELTA"
    reducer = "REDUCE_SUM"
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
      means    = "The oldest job has waited longer than it should: Customer.io or a function does not keep up, or its subscription is paused. Nothing is lost while it waits."
      conditions = [{
        name     = "age of the oldest job in a main lane"
        filter   = "${format(local.subscription, local.main_subscriptions)} AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
        above    = var.thresholds.main_lane_age_seconds
        period   = local.minutes[5]
        aligner  = "ALIGN_MAX"
        reducer  = "REDUCE_MAX"
        group_by = ["resource.label.subscription_id"]
        }, {
        name     = "age of the oldest job in a retry or bulk lane"
        filter   = "${format(local.subscription, local.patient_subscriptions)} AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
        above    = var.thresholds.retry_lane_age_seconds
        period   = local.minutes[5]
        aligner  = "ALIGN_MAX"
        reducer  = "REDUCE_MAX"
        group_by = ["resource.label.subscription_id"]
      }]
    }

    pushes-fail = {
      title    = "pushes fail"
      severity = "ERROR"
      means    = "A large share of pushes to a function is not acknowledged. Those jobs come again, first within a minute, later within ten."
      conditions = [{
        name     = "share of pushes that are not acknowledged, by subscription"
        filter   = "${format(local.subscription, "${local.main_subscriptions}|${local.bells}")} AND metric.type = \"pubsub.googleapis.com/subscription/push_request_count\" AND metric.labels.response_class != \"ack\""
        above    = var.thresholds.push_error_ratio
        period   = local.minutes[10]
        aligner  = "ALIGN_DELTA"
        reducer  = "REDUCE_SUM"
        group_by = ["resource.label.subscription_id"]
        base     = "${format(local.subscription, "${local.main_subscriptions}|${local.bells}")} AND metric.type = \"pubsub.googleapis.com/subscription/push_request_count\""
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


    # After a 401 Customer.io waits an hour and holds everything else back, so a wrong key is one 401 an hour and nothing else: a share, and
    # no number, tells it from a stranger's request between good ones. Within two hours of the key going wrong the window of one hour
    # holds only refusals. https://docs.customer.io/integrations/api/webhooks/, "Timeouts and failures"
    webhook-unauthorized = {
      title    = "webhooks are refused"
      severity = "CRITICAL"
      means    = "Most requests to the webhook are answered 401: the signing key here is not Customer.io's any more, and all events wait there, for seven days at most."
      conditions = [{
        name    = "share of 401 among the webhook's answers, in an hour"
        filter  = "${format(local.service, local.webhook)} AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code = \"401\""
        above   = var.thresholds.webhook_unauthorized_ratio
        period  = local.minutes[60]
        aligner = "ALIGN_DELTA"
        reducer = "REDUCE_SUM"
        base    = "${format(local.service, local.webhook)} AND metric.type = \"run.googleapis.com/request_count\""
      }]
    }

    webhook-unavailable = {
      title    = "the webhook cannot take events"
      severity = "ERROR"
      means    = "The webhook answers 5xx: it cannot publish, or does not run. Customer.io holds back all later events and tries for seven days."
      conditions = [{
        name    = "5xx answers in five minutes"
        filter  = "${format(local.service, local.webhook)} AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"5xx\""
        above   = 0
        period  = local.minutes[5]
        aligner = "ALIGN_DELTA"
        reducer = "REDUCE_SUM"
      }]
    }

    webhook-slow = {
      title    = "the webhook is slow"
      severity = "WARNING"
      means    = "Customer.io waits 4 s, then holds back all later events."
      conditions = [{
        name    = "99th percentile of the webhook's answers, in milliseconds"
        filter  = "${format(local.service, local.webhook)} AND metric.type = \"run.googleapis.com/request_latencies\""
        above   = var.thresholds.webhook_latency_seconds * 1000
        period  = local.minutes[10]
        aligner = "ALIGN_PERCENTILE_99"
        reducer = "REDUCE_MAX"
      }]
    }


    # Burn rates of the webhook's SLO, written as shares of 5xx: 14.4 and 6 times the 0.1 % that it allows. Two windows each, so that an alert neither fires for a blip nor goes on long after the end. 14.4 spends 2 % of the month's budget in an
    # hour, 6 spends 5 % in six. https://sre.google/workbook/alerting-on-slos/#6-multiwindow-multi-burn-rate-alerts
    webhook-budget-fast = {
      title    = "the webhook breaks its promise fast"
      severity = "CRITICAL"
      means    = "So many webhooks are answered with an error that the month's budget of 0.1 % is gone within two days. Customer.io holds back later events meanwhile."
      all      = true
      conditions = [{
        name    = "share of 5xx, over an hour"
        filter  = "${format(local.service, local.webhook)} AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"5xx\""
        above   = 0.0144
        period  = local.minutes[60]
        aligner = "ALIGN_DELTA"
        reducer = "REDUCE_SUM"
        base    = "${format(local.service, local.webhook)} AND metric.type = \"run.googleapis.com/request_count\""
        }, {
        name    = "share of 5xx, over five minutes"
        filter  = "${format(local.service, local.webhook)} AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"5xx\""
        above   = 0.0144
        period  = local.minutes[5]
        aligner = "ALIGN_DELTA"
        reducer = "REDUCE_SUM"
        base    = "${format(local.service, local.webhook)} AND metric.type = \"run.googleapis.com/request_count\""
      }]
    }
    webhook-budget-slow = {
      title    = "the webhook breaks its promise slowly"
      severity = "ERROR"
      means    = "More webhooks are answered with an error than the month's budget of 0.1 % allows for."
      all      = true
      conditions = [{
        name    = "share of 5xx, over six hours"
        filter  = "${format(local.service, local.webhook)} AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"5xx\""
        above   = 0.006
        period  = local.minutes[360]
        aligner = "ALIGN_DELTA"
        reducer = "REDUCE_SUM"
        base    = "${format(local.service, local.webhook)} AND metric.type = \"run.googleapis.com/request_count\""
        }, {
        name    = "share of 5xx, over half an hour"
        filter  = "${format(local.service, local.webhook)} AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"5xx\""
        above   = 0.006
        period  = local.minutes[30]
        aligner = "ALIGN_DELTA"
        reducer = "REDUCE_SUM"
        base    = "${format(local.service, local.webhook)} AND metric.type = \"run.googleapis.com/request_count\""
      }]
    }

    quota = {
      title    = "a quota of the project is used up"
      severity = "ERROR"
      means    = "Google refuses calls to a service because the project's quota for it is spent. Jobs come again; nothing is lost."
      conditions = [{
        name     = "quotas that were exceeded"
        filter   = "resource.type = \"consumer_quota\" AND metric.type = \"serviceruntime.googleapis.com/quota/exceeded\" AND resource.labels.service = monitoring.regex.full_match(\"${local.quota_services}\")"
        above    = 0
        period   = local.minutes[5]
        aligner  = "ALIGN_COUNT_TRUE"
        reducer  = "REDUCE_SUM"
        group_by = ["resource.label.service", "metric.label.quota_metric"]
      }]
    }
    }, length(var.consumers) == 0 ? {} : {
    events-unread = {
      title    = "a consumer does not read its events"
      severity = "ERROR"
      means    = "A consumer of the company's own has not taken its oldest event for too long. Pub/Sub drops it after seven days. A pull consumer that is stopped makes no attempts, so nothing becomes a dead letter either."
      conditions = [{
        name     = "age of the oldest event of a consumer"
        filter   = "${format(local.subscription, local.consumer_subscriptions)} AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
        above    = var.thresholds.consumer_age_seconds
        period   = local.minutes[5]
        aligner  = "ALIGN_MAX"
        reducer  = "REDUCE_MAX"
        group_by = ["resource.label.subscription_id"]
      }]
    }
    }, var.thresholds.webhook_silent_hours == 0 ? {} : {
    webhook-silent = {
      title    = "no event has come from Customer.io"
      severity = "ERROR"
      means    = "Customer.io has reported nothing for hours. The webhook was switched off there, or its address changed, or nothing was sent."
      conditions = [{
        name           = "no answer of 2xx by the webhook"
        filter         = "${format(local.service, local.webhook)} AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"2xx\""
        silent_seconds = var.thresholds.webhook_silent_hours * 3600
        period         = local.minutes[60]
        aligner        = "ALIGN_DELTA"
        reducer        = "REDUCE_SUM"
      }]
    }
    }, var.rotation_reminders == null ? {} : {
    secret-due = {
      title    = "a secret is due for rotation"
      severity = "WARNING"
      means    = "The days that were set for a secret are over. It goes on working until it is changed."
      conditions = [{
        name    = "age of a reminder that nobody has acknowledged"
        filter  = "${format(local.subscription, coalesce(var.rotation_reminders, "-"))} AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
        above   = 0
        period  = local.minutes[5]
        aligner = "ALIGN_MAX"
        reducer = "REDUCE_MAX"
      }]
    }
  })

  log_alerts = {
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

    sends-paused = {
      title    = "sends are paused"
      severity = "CRITICAL"
      means    = "Customer.io turns sends away or does not answer, so no email leaves. They wait, and leave when it takes them again."
      conditions = [{
        name     = "control paused sends"
        filter   = "${local.log_metric.pauses} AND metric.labels.kind = \"send\""
        above    = 0
        period   = local.minutes[5]
        aligner  = "ALIGN_DELTA"
        reducer  = "REDUCE_SUM"
        group_by = ["metric.label.reason"]
      }]
    }

    pause-lasts = {
      title    = "a pause lasts"
      severity = "ERROR"
      means    = "A kind of job has been paused for longer than it should be, by Customer.io's answers or by an operator. Nothing is lost for 7 days; then Pub/Sub drops the oldest jobs."
      conditions = [{
        name     = "minutes of a long pause"
        filter   = local.log_metric["paused-long"]
        above    = 0
        period   = local.minutes[5]
        aligner  = "ALIGN_DELTA"
        reducer  = "REDUCE_SUM"
        group_by = ["metric.label.kind", "metric.label.reason"]
      }]
    }

    faults = {
      title    = "a function has a fault"
      severity = "ERROR"
      means    = "Our own code raised what it should not. The job comes again and most likely fails again."
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

    start-fails = {
      title    = "a function does not start"
      severity = "CRITICAL"
      means    = "New instances of a function end before they take a request. Its jobs wait, and come again."
      conditions = [{
        name     = "instances that did not start"
        filter   = local.log_metric.starts
        above    = 0
        period   = local.minutes[5]
        aligner  = "ALIGN_DELTA"
        reducer  = "REDUCE_SUM"
        group_by = ["resource.label.service_name"]
      }]
    }

    no-instance = {
      title    = "requests found no instance"
      severity = "ERROR"
      means    = "Cloud Run turned requests away because every instance was busy and no more are allowed, or none came up in time."
      conditions = [{
        name     = "requests that were turned away"
        filter   = local.log_metric["turned-away"]
        above    = 0
        period   = local.minutes[5]
        aligner  = "ALIGN_DELTA"
        reducer  = "REDUCE_SUM"
        group_by = ["resource.label.service_name"]
      }]
    }

    out-of-memory = {
      title    = "a function runs out of memory"
      severity = "ERROR"
      means    = "Cloud Run ended an instance that used more memory than it has. The jobs it held come again, and a send among them may have an unknown outcome."
      conditions = [{
        name     = "instances that were ended"
        filter   = local.log_metric.memory
        above    = 0
        period   = local.minutes[5]
        aligner  = "ALIGN_DELTA"
        reducer  = "REDUCE_SUM"
        group_by = ["resource.label.service_name"]
      }]
    }

    bounces = {
      title    = "many messages bounce"
      severity = "WARNING"
      means    = "More messages than usual bounce. Mailbox providers lower a sender's reputation for it."
      all      = true
      conditions = [local.enough_sent, {
        name    = "bounced messages per sent one, in an hour"
        filter  = "${local.log_metric.events} AND metric.labels.metric = \"bounced\""
        above   = var.thresholds.bounce_ratio
        period  = local.minutes[60]
        aligner = "ALIGN_DELTA"
        reducer = "REDUCE_SUM"
        base    = local.enough_sent.filter
      }]
    }

    spam = {
      title    = "people mark messages as spam"
      severity = "ERROR"
      means    = "Mailbox providers block a sender for this. Gmail asks for less than 0.1 %, and blocks from 0.3 %."
      all      = true
      conditions = [local.enough_sent, {
        name    = "messages marked as spam per sent one, in an hour"
        filter  = "${local.log_metric.events} AND metric.labels.metric = \"spammed\""
        above   = var.thresholds.spam_ratio
        period  = local.minutes[60]
        aligner = "ALIGN_DELTA"
        reducer = "REDUCE_SUM"
        base    = local.enough_sent.filter
      }]
    }
  }

  channels = concat(
    tolist(var.notifications.channels),
    [for channel in google_monitoring_notification_channel.email : channel.id],
  )
}

module "alerts" {
  source = "../alerts"

  project_id   = var.project_id
  name         = var.name
  alerts       = local.alerts
  channels     = local.channels
  runbooks_url = var.runbooks_url
}

module "log_alerts" {
  source = "../alerts"

  project_id   = var.project_id
  name         = var.name
  alerts       = local.log_alerts
  channels     = local.channels
  runbooks_url = var.runbooks_url
}

moved {
  from = google_monitoring_alert_policy.this
  to   = module.alerts.google_monitoring_alert_policy.this
}

moved {
  from = module.alerts.google_monitoring_alert_policy.this["jobs-held"]
  to   = module.log_alerts.google_monitoring_alert_policy.this["jobs-held"]
}

moved {
  from = module.alerts.google_monitoring_alert_policy.this["faults"]
  to   = module.log_alerts.google_monitoring_alert_policy.this["faults"]
}

moved {
  from = module.alerts.google_monitoring_alert_policy.this["bounces"]
  to   = module.log_alerts.google_monitoring_alert_policy.this["bounces"]
}

moved {
  from = module.alerts.google_monitoring_alert_policy.this["spam"]
  to   = module.log_alerts.google_monitoring_alert_policy.this["spam"]
}
