variable "database" {
  description = "Name of the Firestore database."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,61}[a-z0-9]$", var.database))
    error_message = "database must be 4 to 63 lower-case letters, digits and -, a letter first."
  }
}

variable "expiring" {
  description = "Collections whose entries expire, and the field that says when: those of shared/ledger."
  type        = map(string)
  default     = { ledger = "expires_at", tombstones = "expires_at" }
  nullable    = false
}

variable "kms_key" {
  description = "Name of the key that encrypts the database; null leaves that to Google."
  type        = string
  default     = null
}

variable "location" {
  description = "A region or multi-region; cannot be changed later."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
  nullable    = false
}

variable "protected" {
  description = "Refuse to delete the database."
  type        = bool
  default     = true
  nullable    = false
}

variable "unindexed" {
  description = "Fields that are looked up by no query, by their collection: all others of shared/ledger."
  type        = list(object({ collection = string, field = string }))
  nullable    = false

  default = [
    { collection = "ledger", field = "fingerprint" },
    { collection = "ledger", field = "lease_until" },
    { collection = "ledger", field = "result" },
    { collection = "ledger", field = "state" },
    { collection = "ledger", field = "token" },
    { collection = "ledger", field = "unknowns" },
    { collection = "profiles", field = "state" },
    { collection = "profiles", field = "token" },
    { collection = "receipts", field = "receipt" },
    { collection = "tombstones", field = "forgotten_at" },
  ]
}

variable "writers" {
  description = "Who may read and write entries: IAM members by a name of yours."
  type        = map(string)
  nullable    = false
}
