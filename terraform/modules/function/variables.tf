variable "account" {
  description = "The service account that the function runs as."
  type        = object({ email = string })
  nullable    = false
}

variable "build" {
  description = "Where the archive goes, who builds it (a service account's full name) and where the image goes (a repository's id)."
  type = object({
    bucket          = string
    service_account = string
    repository      = string
  })
  nullable = false
}

variable "description" {
  description = "A sentence for the console."
  type        = string
  default     = null
}

variable "entry_point" {
  description = "The function in functions/<entry_point>/main.py, which has the same name."
  type        = string
  nullable    = false
}

variable "environment" {
  description = "Environment variables. Names of secrets, never their values."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([
      for name in keys(var.environment) : !can(regex("(KEY|SITE_ID|PASSWORD|TOKEN)$", name))
    ])
    error_message = "environment: a secret's value would be readable in the state and the console. Give its name, as NAME_SECRET."
  }
}

variable "ingress" {
  description = "Where calls may come from: ALLOW_INTERNAL_ONLY takes this project's Pub/Sub and VPC, ALLOW_INTERNAL_AND_GCLB also its load balancers, ALLOW_ALL the internet."
  type        = string
  default     = "ALLOW_INTERNAL_ONLY"
  nullable    = false

  validation {
    condition     = contains(["ALLOW_INTERNAL_ONLY", "ALLOW_INTERNAL_AND_GCLB", "ALLOW_ALL"], var.ingress)
    error_message = "ingress must be ALLOW_INTERNAL_ONLY, ALLOW_INTERNAL_AND_GCLB or ALLOW_ALL."
  }
}

variable "invokers" {
  description = "Who may call the function: IAM members by a name of yours."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "kms_key" {
  description = "Name of the key that encrypts the function; null leaves that to Google."
  type        = string
  default     = null
}

variable "name" {
  description = "Name of the function and of its Cloud Run service."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.name))
    error_message = "name must be 6 to 30 lower-case letters, digits and -, a letter first."
  }
}

variable "network" {
  description = "Subnetwork through which the function calls out, with `egress` \"all\" or \"private\"; null for straight to the internet."
  type = object({
    subnetwork = string
    egress     = string
    tags       = set(string)
  })
  default = null
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Where the function runs."
  type        = string
  nullable    = false
}

variable "size" {
  description = "Requests at a time in one instance, seconds a request may take, memory, and how many instances."
  type = object({
    concurrency     = number
    timeout_seconds = number
    memory          = string
    max_instances   = number
    min_instances   = optional(number, 0)
  })
  nullable = false

  validation {
    condition     = var.size.concurrency >= 1 && var.size.concurrency <= 1000
    error_message = "size.concurrency must be 1 to 1000."
  }

  validation {
    condition     = var.size.max_instances >= 1 && var.size.min_instances <= var.size.max_instances
    error_message = "size.max_instances must be at least 1 and not below min_instances."
  }
}

variable "source_root" {
  description = "The folder that holds functions/, shared/ and requirements.txt."
  type        = string
  nullable    = false
}
