variable "alerts" {
  description = <<-EOT
    Alerts, by the name of their section in docs/runbooks.md. `means` says what happened and who is hurt by it. With `all` every condition must
    hold, otherwise one is enough. A condition compares what `filter` selects with `above`; `base` makes it a share of what that selects;
    `silent_seconds` fires when nothing is reported for so long.
  EOT
  type = map(object({
    title    = string
    severity = string
    means    = string
    all      = optional(bool, false)
    conditions = list(object({
      name           = string
      filter         = string
      above          = optional(number)
      period         = string
      aligner        = string
      reducer        = string
      group_by       = optional(list(string), [])
      base           = optional(string)
      silent_seconds = optional(number)
    }))
  }))
  nullable = false

  validation {
    condition     = alltrue(flatten([for alert in values(var.alerts) : [for c in alert.conditions : (c.above == null) != (c.silent_seconds == null)]]))
    error_message = "alerts: a condition has either `above` or `silent_seconds`."
  }
}

variable "channels" {
  description = "Full names of the notification channels that are told."
  type        = list(string)
  nullable    = false
}

variable "name" {
  description = "Prefix of the alerts' titles, e.g. `dev-cio`."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
  nullable    = false
}

variable "runbooks_url" {
  description = "Address of the runbooks, for a link in every alert."
  type        = string
  default     = null
}
