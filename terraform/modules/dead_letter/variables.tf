variable "kms_key" {
  description = "Name of the key that encrypts messages; null leaves that to Google."
  type        = string
  default     = null
}

variable "name" {
  description = "Of the topic and its subscription."
  type        = string
  nullable    = false
}

variable "operators" {
  description = "Who may pull, as IAM members."
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

variable "retention_days" {
  description = "How long a dead letter waits for a person."
  type        = number
  default     = 31
  nullable    = false

  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 31
    error_message = "retention_days must be 1 to 31: Pub/Sub keeps no message longer."
  }
}

variable "storage_regions" {
  description = "Regions in which Pub/Sub may keep messages, wherever they are published from."
  type        = set(string)
  nullable    = false
}
