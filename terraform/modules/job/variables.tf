variable "bell" {
  description = "How the bell of lane bulk retries and how long it keeps messages, as in shared/topology.json; unused without that lane."
  type = object({
    minimum_backoff_seconds = number
    maximum_backoff_seconds = number
    ack_deadline_seconds    = number
    retention_seconds       = number
  })
  default = {
    minimum_backoff_seconds = 1
    maximum_backoff_seconds = 60
    ack_deadline_seconds    = 60
    retention_seconds       = 600
  }
  nullable = false

  validation {
    condition     = var.bell.retention_seconds >= 600
    error_message = "bell: retention_seconds must be at least 600, Pub/Sub's minimum."
  }
}

variable "dead_letter_retention_days" {
  description = "How long a dead letter waits for a person."
  type        = number
  default     = 31
  nullable    = false
}

variable "function" {
  description = "The function that takes the messages: its Cloud Run service, its identity, its address, and the seconds it may take."
  type = object({
    name            = string
    member          = string
    uri             = string
    timeout_seconds = number
  })
  nullable = false
}

variable "kms_key" {
  description = "Name of the key that encrypts messages; null leaves that to Google."
  type        = string
  default     = null
}

variable "lanes" {
  description = "How patiently each lane retries, as in shared/topology.json: main and retry, with or without bulk; or patient alone for ordered jobs."
  type = map(object({
    minimum_backoff_seconds = number
    maximum_backoff_seconds = number
    max_delivery_attempts   = number
    ack_deadline_seconds    = number
  }))
  nullable = false

  validation {
    condition     = contains(["main, retry", "bulk, main, retry", "patient"], join(", ", sort(keys(var.lanes))))
    error_message = "lanes must be main and retry, with or without bulk; or patient alone."
  }

  validation {
    condition = alltrue([
      for lane in values(var.lanes) :
      lane.minimum_backoff_seconds >= 0 && lane.maximum_backoff_seconds <= 600 && lane.minimum_backoff_seconds <= lane.maximum_backoff_seconds
    ])
    error_message = "lanes: backoffs must be 0 to 600 seconds, the minimum not above the maximum."
  }

  validation {
    condition     = alltrue([for lane in values(var.lanes) : lane.max_delivery_attempts >= 5 && lane.max_delivery_attempts <= 100])
    error_message = "lanes: max_delivery_attempts must be 5 to 100."
  }

  validation {
    condition     = alltrue([for lane in values(var.lanes) : lane.ack_deadline_seconds >= 10 && lane.ack_deadline_seconds <= 600])
    error_message = "lanes: ack_deadline_seconds must be 10 to 600."
  }
}

variable "operators" {
  description = "Who may pull and replay dead letters, as IAM members."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "ordered" {
  description = "Whether messages of one ordering key are delivered in the order in which they were published."
  type        = bool
  default     = false
  nullable    = false
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
  nullable    = false
}

variable "publishers" {
  description = "Which applications may publish, as IAM members."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "pubsub_agent" {
  description = "Pub/Sub's own identity in this project, as an IAM member."
  type        = string
  nullable    = false
}

variable "push_account_id" {
  description = "Id of the service account that pushes are signed as, made here."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.push_account_id))
    error_message = "push_account_id must be 6 to 30 lower-case letters, digits and -, a letter first."
  }
}

variable "region" {
  description = "Where the function runs."
  type        = string
  nullable    = false
}

variable "storage_regions" {
  description = "Regions in which Pub/Sub may keep messages, wherever they are published from."
  type        = set(string)
  nullable    = false
}

variable "topic" {
  description = "Name of the topic that jobs are published to. Its retry and dead-letter topics and all subscriptions are named after it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9._~+%-]{2,242}$", var.topic)) && !startswith(var.topic, "goog")
    error_message = "topic must be 3 to 243 letters, digits and -._~+%, a letter first, and not begin with goog."
  }
}
