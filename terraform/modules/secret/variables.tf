variable "description" {
  description = "A sentence for whoever finds the secret in the console."
  type        = string
  nullable    = false
}

variable "kms_key" {
  description = "Name of the key that encrypts the value; null leaves that to Google."
  type        = string
  default     = null
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
  nullable    = false
}

variable "protected" {
  description = "Refuse to delete the secret."
  type        = bool
  default     = true
  nullable    = false
}

variable "readers" {
  description = "Who may read the value: IAM members by a name of yours."
  type        = map(string)
  nullable    = false
}

variable "reminders" {
  description = "projects/P/topics/T that Secret Manager tells when a rotation is due; needed with rotation."
  type        = string
  default     = null
}

variable "replicas" {
  description = "Regions that keep the value; empty lets Google choose. It cannot be changed later."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "rotation" {
  description = "Days between reminders to change the value; left out, none are sent."
  type = object({
    every_days = number
  })
  default = null

  validation {
    condition     = try(var.rotation.every_days >= 1, true)
    error_message = "rotation.every_days must be at least 1."
  }
}

variable "secret_id" {
  description = "Short name of the secret."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,255}$", var.secret_id))
    error_message = "secret_id must be letters, digits, - and _."
  }
}
