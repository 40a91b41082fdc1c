# What is not kept. A job is one line of ours and one of Cloud Run's, and at some hundred jobs a second logs cost more than everything else.
# Metrics lose nothing: "User-defined log-based metrics are calculated from both included and excluded logs."
# https://cloud.google.com/logging/docs/logs-based-metrics. Cloud Run writes 4xx as WARNING and 5xx as ERROR.

locals {
  excluded = {
    jobs = {
      description = "A share of the lines of jobs that succeeded."
      kept        = var.logs.jobs
      filter      = "${local.log_lines} AND severity=INFO AND jsonPayload.outcome:*"
    }
    requests = {
      description = "A share of Cloud Run's lines of requests that succeeded: each job has a line of its own."
      kept        = var.logs.requests
      filter      = "${local.log_lines} AND logName=\"projects/${var.project_id}/logs/run.googleapis.com%2Frequests\" AND severity<WARNING"
    }
  }
}

resource "google_logging_project_exclusion" "this" {
  for_each = { for name, exclusion in local.excluded : name => exclusion if exclusion.kept < 1 }

  project     = var.project_id
  name        = "${var.name}-${each.key}"
  description = each.value.description
  filter      = each.value.kept == 0 ? each.value.filter : "${each.value.filter} AND sample(insertId, ${format("%.4f", 1 - each.value.kept)})"
}
