variable "bucket" {
  description = "Name of the bucket for archives; unique in the world."
  type        = string
  nullable    = false
}

variable "kms_key" {
  description = "Name of the key that encrypts archives and images; null leaves that to Google."
  type        = string
  default     = null
}

variable "name" {
  description = "Begins the names of the repository and the builder's account."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,23}$", var.name))
    error_message = "name must be 3 to 24 lower-case letters, digits and -, a letter first."
  }
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
  nullable    = false
}

variable "project_number" {
  description = "The project's number: part of the name of the bucket that Cloud Functions makes."
  type        = string
  nullable    = false
}

variable "protected" {
  description = "Refuse to delete the bucket while there is something in it."
  type        = bool
  default     = true
  nullable    = false
}

variable "region" {
  description = "Where archives and images are."
  type        = string
  nullable    = false
}
