# Is mail flowing? The first row answers at a glance, left to right in the order in which things happen; red is where to look.
#
# Nothing below is 0, false or empty. The API leaves such values out of what it returns, and the provider would show the difference as a change
# at every plan. https://github.com/GoogleCloudPlatform/magic-modules/pull/18515, https://github.com/hashicorp/terraform-provider-google/issues/16173

locals {
  dashboard_query = {
    applied      = { filter = "${local.dashboard_metric.jobs} AND metric.labels.outcome = \"applied\"", align = "ALIGN_RATE", reduce = "REDUCE_SUM", by = [] }
    oldest       = { filter = "${format(local.subscription, "${local.main_subscriptions}|${local.patient_subscriptions}")} AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\"", align = "ALIGN_MAX", reduce = "REDUCE_MAX", by = [] }
    dead_letters = { filter = "${format(local.subscription, local.dead_letter_subscriptions)} AND metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\"", align = "ALIGN_MAX", reduce = "REDUCE_SUM", by = [] }
    holds        = { filter = local.dashboard_metric.holds, align = "ALIGN_DELTA", reduce = "REDUCE_SUM", by = [] }
    sent         = { filter = "${local.dashboard_metric.events} AND metric.labels.metric = \"sent\"", align = "ALIGN_RATE", reduce = "REDUCE_SUM", by = [] }
    webhook_5xx  = { filter = "${local.webhook_requests} AND metric.labels.response_code_class = \"5xx\"", align = "ALIGN_DELTA", reduce = "REDUCE_SUM", by = [] }

    outcomes = { filter = local.dashboard_metric.jobs, align = "ALIGN_RATE", reduce = "REDUCE_SUM", by = ["metric.label.kind", "metric.label.outcome"] }
    reasons  = { filter = "${local.dashboard_metric.jobs} AND metric.labels.reason != \"\"", align = "ALIGN_RATE", reduce = "REDUCE_SUM", by = ["metric.label.kind", "metric.label.reason"] }
    events   = { filter = local.dashboard_metric.events, align = "ALIGN_RATE", reduce = "REDUCE_SUM", by = ["metric.label.metric"] }
    ages     = { filter = "${format(local.subscription, "${local.main_subscriptions}|${local.patient_subscriptions}")} AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\"", align = "ALIGN_MAX", reduce = "REDUCE_MAX", by = ["resource.label.subscription_id"] }
    pauses   = { filter = local.dashboard_metric.paused, align = "ALIGN_DELTA", reduce = "REDUCE_SUM", by = ["metric.label.kind", "metric.label.reason"] }
    backlog  = { filter = "${format(local.subscription, "${local.main_subscriptions}|${local.patient_subscriptions}")} AND metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\"", align = "ALIGN_MAX", reduce = "REDUCE_SUM", by = ["resource.label.subscription_id"] }
    waiting  = { filter = "${format(local.subscription, local.dead_letter_subscriptions)} AND metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\"", align = "ALIGN_MAX", reduce = "REDUCE_SUM", by = ["resource.label.subscription_id"] }
    pushes   = { filter = "${format(local.subscription, "${local.main_subscriptions}|${local.patient_subscriptions}")} AND metric.type = \"pubsub.googleapis.com/subscription/push_request_count\"", align = "ALIGN_RATE", reduce = "REDUCE_SUM", by = ["metric.label.response_class"] }
    latency  = { filter = "${format(local.service, local.job_functions)} AND metric.type = \"run.googleapis.com/request_latencies\"", align = "ALIGN_PERCENTILE_99", reduce = "REDUCE_MAX", by = ["resource.label.service_name"] }
    webhooks = { filter = local.webhook_requests, align = "ALIGN_RATE", reduce = "REDUCE_SUM", by = ["metric.label.response_code"] }
    in_time  = { filter = "${format(local.service, local.webhook)} AND metric.type = \"run.googleapis.com/request_latencies\"", align = "ALIGN_PERCENTILE_99", reduce = "REDUCE_MAX", by = [] }
  }

  time_series_query = {
    for name, query in local.dashboard_query : name => {
      timeSeriesFilter = {
        filter = query.filter
        aggregation = merge(
          {
            alignmentPeriod    = "300s"
            perSeriesAligner   = query.align
            crossSeriesReducer = query.reduce
          },
          length(query.by) == 0 ? {} : { groupByFields = query.by },
        )
      }
    }
  }

  # One number each; above `red` it turns red.
  numbers = [
    { title = "Jobs applied per second", query = "applied", red = null },
    { title = "Oldest job waits (s)", query = "oldest", red = var.thresholds.main_lane_age_seconds },
    { title = "Functions that hold their jobs", query = "holds", red = 0 },
    { title = "Dead letters", query = "dead_letters", red = var.thresholds.dead_letters },
    { title = "Messages sent per second", query = "sent", red = null },
    { title = "Webhook errors (5 min)", query = "webhook_5xx", red = 0 },
  ]

  charts = [
    { title = "Jobs by kind and outcome (per second)", query = "outcomes", type = "STACKED_AREA" },
    { title = "Events of messages (per second)", query = "events", type = "STACKED_AREA" },
    { title = "Why jobs are not applied (per second)", query = "reasons", type = "STACKED_AREA" },
    { title = "Age of the oldest job, by lane (s)", query = "ages", type = "LINE" },
    { title = "Jobs waiting, by lane", query = "backlog", type = "STACKED_AREA" },
    { title = "Dead letters waiting", query = "waiting", type = "STACKED_AREA" },
    { title = "Pushes by answer (per second)", query = "pushes", type = "STACKED_AREA" },
    { title = "Functions: 99th percentile (ms)", query = "latency", type = "LINE" },
    { title = "Minutes paused, by kind and reason", query = "pauses", type = "STACKED_AREA" },
    { title = "Webhook: answers by status (per second)", query = "webhooks", type = "STACKED_AREA" },
    { title = "Webhook: 99th percentile (ms); Customer.io waits 4000", query = "in_time", type = "LINE" },
  ]

  number_tiles = [
    for i, number in local.numbers : merge({
      width  = 8
      height = 8
      widget = {
        title = number.title
        scorecard = merge(
          {
            timeSeriesQuery = local.time_series_query[number.query]
            sparkChartView  = { sparkChartType = "SPARK_LINE" }
          },
          number.red == null ? {} : {
            thresholds = [merge(number.red == 0 ? {} : { value = number.red }, { color = "RED", direction = "ABOVE" })]
          },
        )
      }
    }, i == 0 ? {} : { xPos = i * 8 })
  ]

  chart_tiles = [
    for i, chart in local.charts : merge({
      yPos   = 8 + floor(i / 2) * 16
      width  = 24
      height = 16
      widget = {
        title = chart.title
        xyChart = {
          dataSets = [{ timeSeriesQuery = local.time_series_query[chart.query], plotType = chart.type }]
        }
      }
    }, i % 2 == 0 ? {} : { xPos = 24 })
  ]
}

resource "google_monitoring_dashboard" "this" {
  project = var.project_id

  dashboard_json = jsonencode({
    displayName = "${var.name}: is mail flowing?"
    mosaicLayout = {
      columns = 48
      tiles   = concat(local.number_tiles, local.chart_tiles)
    }
  })
}
