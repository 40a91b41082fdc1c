variable "analysts" {
  description = "Who may read, as IAM members."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "columns_now" {
  description = "Schemas (JSON) of tables that are there already, by table. An apply that would drop one of their columns is refused."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "dataset_id" {
  description = "Name of the dataset: letters, digits and _."
  type        = string
  nullable    = false
}

variable "erasers" {
  description = "Who may delete rows about a person: IAM members by a name of yours."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "expiry_days" {
  description = "Days after which a day's events are dropped; left out, they are kept."
  type        = number
  default     = null
}

variable "kms_key" {
  description = "Name of the key that encrypts tables; null leaves that to Google."
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
  description = "Refuse to delete tables and a dataset that is not empty."
  type        = bool
  default     = true
  nullable    = false
}

variable "schemas" {
  description = "Folder with tables.json and the schemas it names."
  type        = string
  nullable    = false
}

variable "views" {
  description = "Folder with views.json and a query for each view."
  type        = string
  nullable    = false
}

variable "writers" {
  description = "Who may add rows: IAM members by a name of yours."
  type        = map(string)
  default     = {}
  nullable    = false
}
