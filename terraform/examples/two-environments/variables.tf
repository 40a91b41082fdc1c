variable "operators" {
  description = "Who may read and replay dead letters, as IAM members."
  type        = set(string)
  default     = []
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}
