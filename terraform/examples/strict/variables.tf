variable "application" {
  description = "Who reads Customer.io's events, as an IAM member."
  type        = string
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}

variable "security_project" {
  description = "The project that has the key."
  type        = string
}
