# Where builds come from and go to.
module "source" {
  source = "./modules/source"

  project_id     = local.project
  project_number = data.google_project.this.number
  region         = var.region
  name           = "${local.prefix}cio"
  bucket         = "${var.project_id}-${local.prefix}cio-source"
  kms_key        = local.kms_key
  protected      = var.deletion_protection
}

# Claims of sends and broadcasts, what sync sent last, and who is forgotten.
module "ledger" {
  source = "./modules/ledger"

  project_id = local.project
  location   = coalesce(var.ledger.location, var.region)
  database   = "${local.prefix}cio-ledger"
  kms_key    = local.kms_key
  protected  = var.deletion_protection
  writers = merge(
    { for name, function in local.topology.functions : name => google_service_account.function[name].member if function.ledger },
    local.privacy_officers,
  )
}

# The tables as they are now, to see whether an apply would drop a column: the provider does that where a schema lists it no more, and
# deletion_protection does not stop it. (resource_bigquery_table.go: the update runs ALTER TABLE ... DROP COLUMN)
# In steps, because a data source of what is not there yet is an error.
data "google_bigquery_datasets" "now" {
  project = var.project_id
}

data "google_bigquery_tables" "now" {
  for_each = toset([for dataset in coalesce(data.google_bigquery_datasets.now.datasets, []) : dataset.dataset_id if dataset.dataset_id == local.dataset_id])

  project    = var.project_id
  dataset_id = each.key
}

data "google_bigquery_table" "now" {
  for_each = toset(flatten([
    for dataset in data.google_bigquery_tables.now : [
      for table in dataset.tables : table.table_id if contains(keys(local.tables), table.table_id)
    ]
  ]))

  project    = var.project_id
  dataset_id = local.dataset_id
  table_id   = each.key
}

locals {
  # Nobody, unless the company says who may delete what is stored of a person.
  privacy_officers = { for member in var.privacy_officers : "privacy ${member}" => member }

  dataset_id = "${var.environment}_customerio"
  tables     = jsondecode(file("${path.module}/schemas/tables.json"))
}

# Customer.io's events, for analysts.
module "warehouse" {
  source = "./modules/warehouse"

  project_id  = local.project
  location    = coalesce(var.warehouse.location, var.region)
  dataset_id  = local.dataset_id
  kms_key     = local.kms_key
  schemas     = "${path.module}/schemas"
  views       = "${path.module}/views"
  expiry_days = var.warehouse.expiry_days
  protected   = var.deletion_protection
  writers     = { for name, function in local.topology.functions : name => google_service_account.function[name].member if function.warehouse }
  erasers     = local.privacy_officers
  analysts    = var.warehouse.analysts
  columns_now = { for name, table in data.google_bigquery_table.now : name => table.schema }
}
