variable "acts_as" {
  description = "Full names of the service accounts that the deployer hands to functions, builds and pushes, by a name of yours."
  type        = map(string)
  nullable    = false
}

variable "branch" {
  description = "The branch that deploys."
  type        = string
  default     = "main"
  nullable    = false
}

variable "dataset_id" {
  description = "The dataset in which the deployer may add columns."
  type        = string
  nullable    = false
}

variable "environment" {
  description = "Name of the GitHub environment that a job must run in to deploy."
  type        = string
  nullable    = false
}

variable "functions" {
  description = "Names of the functions that the deployer may change, by a name of yours."
  type        = map(string)
  nullable    = false
}

variable "name" {
  description = "Prefix of the names of the pool, the two service accounts and the roles, e.g. `dev-cio`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,22}$", var.name)) && !startswith(var.name, "gcp-")
    error_message = "name must be 3 to 23 lower-case letters, digits and -, a letter first, and not begin with gcp-."
  }
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Where the functions are."
  type        = string
  nullable    = false
}

variable "repository" {
  description = "OWNER/NAME on GitHub."
  type        = string
  nullable    = false
}

variable "repository_id" {
  description = "The repository's number on GitHub."
  type        = string
  nullable    = false
}

variable "source_bucket" {
  description = "Name of the bucket that archives of functions are put into."
  type        = string
  nullable    = false
}

variable "subscriptions" {
  description = "Names of the subscriptions that the deployer may change, by a name of yours."
  type        = map(string)
  nullable    = false
}
