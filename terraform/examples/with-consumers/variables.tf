variable "application" {
  description = "The application that publishes jobs and pulls events, as an IAM member."
  type        = string
}

variable "crm_endpoint" {
  description = "Address to which Pub/Sub posts opt-outs."
  type        = string
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}
