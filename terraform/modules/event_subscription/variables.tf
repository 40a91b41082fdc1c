variable "ack_deadline_seconds" {
  description = "How long the consumer may take with one event."
  type        = number
  default     = 60
  nullable    = false
}

variable "dead_letter_retention_days" {
  description = "How long an event that the consumer never took waits for a person."
  type        = number
  default     = 31
  nullable    = false
}

variable "filter" {
  description = "Pub/Sub's filter over attributes; empty for every event. A change replaces the subscription, and what waits in it is lost."
  type        = string
  default     = ""
  nullable    = false
}

variable "kms_key" {
  description = "Name of the key that encrypts dead letters; null leaves that to Google."
  type        = string
  default     = null
}

variable "name" {
  description = "Of the subscription. Its dead letters are named after it."
  type        = string
  nullable    = false
}

variable "operators" {
  description = "Who may pull the dead letters, as IAM members."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
  nullable    = false
}

variable "pubsub_agent" {
  description = "Pub/Sub's own identity in this project, as an IAM member."
  type        = string
  nullable    = false
}

variable "pullers" {
  description = "Who may pull, as IAM members."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "push_account" {
  description = "Email of the service account that pushes are signed as; needed with push_endpoint."
  type        = string
  default     = null
}

variable "push_audience" {
  description = "The audience of the pushes' tokens; the endpoint if left out."
  type        = string
  default     = null
}

variable "push_endpoint" {
  description = "Where Pub/Sub posts events; left out for a subscription that is pulled."
  type        = string
  default     = null

  validation {
    condition     = var.push_endpoint == null || var.push_account != null
    error_message = "push_endpoint needs push_account: a push without a token cannot be told from anybody else's request."
  }
}

variable "storage_regions" {
  description = "Regions in which Pub/Sub may keep messages, wherever they are published from."
  type        = set(string)
  nullable    = false
}

variable "topic" {
  description = "projects/P/topics/T of the events topic."
  type        = string
  nullable    = false
}
