resource "google_firestore_database" "this" {
  project                 = var.project_id
  name                    = var.database
  location_id             = var.location
  type                    = "FIRESTORE_NATIVE"
  concurrency_mode        = "OPTIMISTIC"
  delete_protection_state = var.protected ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"

  # Without this, Terraform drops the database from its state and leaves it behind, and the next apply finds the name taken.
  deletion_policy = "DELETE"

  dynamic "cmek_config" {
    for_each = var.kms_key == null ? [] : [var.kms_key]

    content {
      kms_key_name = cmek_config.value
    }
  }
}

# Firestore deletes an entry some time after the instant in this field. Not indexed: ever-growing times would all land on one spot.
resource "google_firestore_field" "expiry" {
  for_each = var.expiring

  project    = var.project_id
  database   = google_firestore_database.this.name
  collection = each.key
  field      = each.value

  ttl_config {}
  index_config {}
}

# Fields that nobody asks for. Firestore indexes every field by default, and takes about 500 writes a second to a collection in which an
# indexed field only ever grows, as the instants here do. https://cloud.google.com/firestore/docs/best-practices#indexes
resource "google_firestore_field" "unindexed" {
  for_each = { for field in var.unindexed : "${field.collection}.${field.field}" => field }

  project    = var.project_id
  database   = google_firestore_database.this.name
  collection = each.value.collection
  field      = each.value.field

  index_config {}
}

# These functions, and whom the company names to delete what is stored of a person, may read and write entries of this database, and of no
# other in the project.
resource "google_project_iam_member" "writers" {
  for_each = var.writers

  project = var.project_id
  role    = "roles/datastore.user"
  member  = each.value

  condition {
    title      = "only ${var.database}"
    expression = "resource.name == \"${google_firestore_database.this.id}\""
  }
}
