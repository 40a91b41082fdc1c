# Each alert says what happened, who is hurt by it, and where its runbook is: the heading of the same name in docs/runbooks.md.
resource "google_monitoring_alert_policy" "this" {
  for_each = var.alerts

  project               = var.project_id
  display_name          = "${var.name}: ${each.value.title}"
  severity              = each.value.severity
  combiner              = each.value.all ? "AND" : "OR"
  notification_channels = var.channels

  dynamic "conditions" {
    for_each = each.value.conditions

    content {
      display_name = conditions.value.name

      dynamic "condition_threshold" {
        for_each = conditions.value.above == null ? [] : [conditions.value]

        content {
          filter             = condition_threshold.value.filter
          denominator_filter = condition_threshold.value.base
          comparison         = "COMPARISON_GT"
          threshold_value    = condition_threshold.value.above
          duration           = "0s"

          aggregations {
            alignment_period     = condition_threshold.value.period
            per_series_aligner   = condition_threshold.value.aligner
            cross_series_reducer = condition_threshold.value.reducer
            group_by_fields      = condition_threshold.value.group_by
          }

          dynamic "denominator_aggregations" {
            for_each = condition_threshold.value.base == null ? [] : [condition_threshold.value]

            content {
              alignment_period     = denominator_aggregations.value.period
              per_series_aligner   = denominator_aggregations.value.aligner
              cross_series_reducer = denominator_aggregations.value.reducer
              group_by_fields      = denominator_aggregations.value.group_by
            }
          }
        }
      }

      dynamic "condition_absent" {
        for_each = conditions.value.silent_seconds == null ? [] : [conditions.value]

        content {
          filter   = condition_absent.value.filter
          duration = "${condition_absent.value.silent_seconds}s"

          aggregations {
            alignment_period     = condition_absent.value.period
            per_series_aligner   = condition_absent.value.aligner
            cross_series_reducer = condition_absent.value.reducer
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
