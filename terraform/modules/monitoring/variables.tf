variable "consumers" {
  description = "Subscriptions of the company's own event consumers; their dead letters are named after them."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "functions" {
  description = "Names of the functions as deployed, by their names in functions/; webhook is one of them."
  type        = map(string)
  nullable    = false
}

variable "jobs" {
  description = "Topics, by kind of job."
  type        = map(string)
  nullable    = false
}

variable "logs" {
  description = "Shares of log lines that are kept, 0 to 1: of jobs that succeeded, and of requests that succeeded. Warnings and errors always are."
  type = object({
    jobs     = number
    requests = number
  })
  nullable = false
}

variable "name" {
  description = "Begins the names of metrics, alerts and the dashboard."
  type        = string
  nullable    = false
}

variable "notifications" {
  description = "Who is told of alerts: email addresses, and ids of existing channels."
  type = object({
    emails   = optional(set(string), [])
    channels = optional(set(string), [])
  })
  default  = {}
  nullable = false
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
  nullable    = false
}

variable "rotation_reminders" {
  description = "Subscription that gets reminders to rotate secrets; left out where there are none."
  type        = string
  default     = null
}

variable "runbooks_url" {
  description = "Address of the runbooks, for a link in every alert."
  type        = string
  default     = null
}

variable "thresholds" {
  description = "When alerts fire. Ratios are 0 to 1, ages and latencies seconds; webhook_silent_hours is 0 for never."
  type = object({
    dead_letters               = number
    main_lane_age_seconds      = number
    retry_lane_age_seconds     = number
    consumer_age_seconds       = number
    push_error_ratio           = number
    function_latency_seconds   = number
    webhook_latency_seconds    = number
    webhook_unauthorized_ratio = number
    webhook_silent_hours       = number
    bounce_ratio               = number
    spam_ratio                 = number
    minimum_sends_for_a_ratio  = number
    pause_seconds              = number
  })
  nullable = false
}
