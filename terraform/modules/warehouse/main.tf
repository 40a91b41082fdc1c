locals {
  tables = jsondecode(file("${var.schemas}/tables.json"))
  views  = jsondecode(file("${var.views}/views.json"))

  queries = {
    for name in keys(local.views) : name => templatefile("${var.views}/${name}.sql", {
      project = var.project_id
      dataset = var.dataset_id
    })
  }

  # A view's columns are NULLABLE or REPEATED, also where the table's column behind it is REQUIRED.
  view_columns = {
    for name, view in local.views : name => jsonencode([
      for column in jsondecode(file("${var.views}/${view.columns}")) :
      merge(column, { mode = column.mode == "REQUIRED" ? "NULLABLE" : column.mode })
    ])
  }
}

resource "google_bigquery_dataset" "this" {
  project                    = var.project_id
  dataset_id                 = var.dataset_id
  location                   = var.location
  description                = "What Customer.io reported about messages and people, and what became of jobs."
  delete_contents_on_destroy = !var.protected

  dynamic "default_encryption_configuration" {
    for_each = var.kms_key == null ? [] : [var.kms_key]

    content {
      kms_key_name = default_encryption_configuration.value
    }
  }
}

resource "google_bigquery_table" "this" {
  for_each = local.tables

  project                  = var.project_id
  dataset_id               = google_bigquery_dataset.this.dataset_id
  table_id                 = each.key
  description              = each.value.description
  schema                   = file("${var.schemas}/${each.value.schema}")
  clustering               = each.value.clustering
  require_partition_filter = each.value.require_partition_filter
  deletion_protection      = var.protected

  time_partitioning {
    type          = "DAY"
    field         = each.value.partition_field
    expiration_ms = var.expiry_days == null ? null : var.expiry_days * 86400000
  }

  # Said again: without it a plan would take the dataset's default, which a new table has, for a change.
  dynamic "encryption_configuration" {
    for_each = var.kms_key == null ? [] : [var.kms_key]

    content {
      kms_key_name = encryption_configuration.value
    }
  }

  lifecycle {
    precondition {
      condition     = length(local.dropped[each.key]) == 0
      error_message = "${each.key} has columns that ${each.value.schema} does not list, and applying would delete them with all they hold: ${join(", ", local.dropped[each.key])}. To go back to earlier code keep these Terraform files and set source_root (docs/deploy.md, Going back); a column that was added by hand is added to the schema."
    }
  }
}

locals {
  # Names of columns, and of fields one level down, as RECORD.FIELD.
  columns = {
    for name, table in local.tables : name => flatten([
      for column in jsondecode(file("${var.schemas}/${table.schema}")) :
      concat([column.name], [for field in lookup(column, "fields", []) : "${column.name}.${field.name}"])
    ])
  }

  columns_now = {
    for name, schema in var.columns_now : name => flatten([
      for column in jsondecode(schema) :
      concat([column.name], [for field in lookup(column, "fields", []) : "${column.name}.${field.name}"])
    ])
  }

  dropped = { for name in keys(local.tables) : name => setsubtract(lookup(local.columns_now, name, []), local.columns[name]) }
}

# BigQuery forgets the descriptions of a view's columns when its query changes, and refuses to describe columns that the view did
# not have before (hashicorp/terraform-provider-google #16647, #14073). So a new query, or a new column of the table behind
# SELECT *, makes the view anew: it holds nothing.
resource "terraform_data" "view_shape" {
  for_each = local.queries

  input = {
    query   = each.value
    columns = [for column in jsondecode(local.view_columns[each.key]) : "${column.name} ${column.type}"]
  }
}

# BigQuery checks a view's query when it is made, so views that read views come after these: one resource per layer of views.json.
resource "google_bigquery_table" "view_1" {
  for_each = { for name, view in local.views : name => view if view.layer == 1 }

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = each.key
  description         = each.value.description
  schema              = local.view_columns[each.key]
  deletion_protection = false # a view holds nothing

  view {
    query          = local.queries[each.key]
    use_legacy_sql = false
  }

  depends_on = [google_bigquery_table.this]

  lifecycle {
    replace_triggered_by = [terraform_data.view_shape[each.key]]

    precondition {
      condition     = alltrue([for view in values(local.views) : contains([1, 2, 3], view.layer)])
      error_message = "views.json: layer must be 1, 2 or 3."
    }
  }
}

resource "google_bigquery_table" "view_2" {
  for_each = { for name, view in local.views : name => view if view.layer == 2 }

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = each.key
  description         = each.value.description
  schema              = local.view_columns[each.key]
  deletion_protection = false

  view {
    query          = local.queries[each.key]
    use_legacy_sql = false
  }

  depends_on = [google_bigquery_table.view_1]

  lifecycle {
    replace_triggered_by = [terraform_data.view_shape[each.key]]
  }
}

resource "google_bigquery_table" "view_3" {
  for_each = { for name, view in local.views : name => view if view.layer == 3 }

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = each.key
  description         = each.value.description
  schema              = local.view_columns[each.key]
  deletion_protection = false

  view {
    query          = local.queries[each.key]
    use_legacy_sql = false
  }

  depends_on = [google_bigquery_table.view_2]

  lifecycle {
    replace_triggered_by = [terraform_data.view_shape[each.key]]
  }
}

locals {
  writer_of_table = merge([
    for table in keys(local.tables) : { for name, member in var.writers : "${name}-${table}" => { table = table, member = member } }
  ]...)
}

# The archive function may add rows to these tables. The role lets it read and change them too, as BigQuery has none that only inserts;
# it can touch no other table, and run no query.
resource "google_bigquery_table_iam_member" "writers" {
  for_each = local.writer_of_table

  project    = var.project_id
  dataset_id = google_bigquery_dataset.this.dataset_id
  table_id   = google_bigquery_table.this[each.value.table].table_id
  role       = "roles/bigquery.dataEditor"
  member     = each.value.member
}

locals {
  eraser_of_table = merge([
    for table in keys(local.tables) : { for name, member in var.erasers : "${name}-${table}" => { table = table, member = member } }
  ]...)
}

# Whom the company names may delete the rows about a person. BigQuery has no role that only deletes, so these may also read
# and change rows of these tables, and of no other.
resource "google_bigquery_table_iam_member" "erasers" {
  for_each = local.eraser_of_table

  project    = var.project_id
  dataset_id = google_bigquery_dataset.this.dataset_id
  table_id   = google_bigquery_table.this[each.value.table].table_id
  role       = "roles/bigquery.dataEditor"
  member     = each.value.member
}

# Analysts may read every table and view of the dataset, personal data included. The right to run queries is theirs from elsewhere.
resource "google_bigquery_dataset_iam_member" "analysts" {
  for_each = var.analysts

  project    = var.project_id
  dataset_id = google_bigquery_dataset.this.dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = each.value
}
