# The first reminder comes once the days are over, counted from the apply that asked for reminders. Not a date in the settings: one that has
# passed would be refused, and one that is wrong could not be put right below.
resource "time_offset" "first_reminder" {
  count = var.rotation == null ? 0 : 1

  offset_days = var.rotation.every_days
}

# The secret without its value: versions are added with gcloud, so no value is ever in a plan or a state.
resource "google_secret_manager_secret" "this" {
  project             = var.project_id
  secret_id           = var.secret_id
  annotations         = { description = var.description }
  deletion_protection = var.protected

  # A version that was destroyed by mistake can be had back for a day.
  version_destroy_ttl = "86400s"

  replication {
    dynamic "auto" {
      for_each = length(var.replicas) == 0 ? [1] : []

      content {}
    }

    dynamic "user_managed" {
      for_each = length(var.replicas) == 0 ? [] : [1]

      content {
        dynamic "replicas" {
          for_each = var.replicas

          content {
            location = replicas.value

            dynamic "customer_managed_encryption" {
              for_each = var.kms_key == null ? [] : [var.kms_key]

              content {
                kms_key_name = customer_managed_encryption.value
              }
            }
          }
        }
      }
    }
  }

  # A reminder only: nothing changes the value but a person.
  dynamic "rotation" {
    for_each = var.rotation == null ? [] : [var.rotation]

    content {
      next_rotation_time = time_offset.first_reminder[0].rfc3339
      rotation_period    = "${rotation.value.every_days * 86400}s"
    }
  }

  dynamic "topics" {
    for_each = var.rotation == null ? [] : [var.reminders]

    content {
      name = topics.value
    }
  }

  lifecycle {
    # Secret Manager moves it on with each reminder. By hand: gcloud secrets update NAME --next-rotation-time=TIME.
    ignore_changes = [rotation[0].next_rotation_time]
  }
}

# These functions may read the value, and no other function; of persons only those whom the company names to delete what is stored of a person.
resource "google_secret_manager_secret_iam_member" "readers" {
  for_each = var.readers

  project   = var.project_id
  secret_id = google_secret_manager_secret.this.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value
}

# They may also see which versions are enabled: during a rotation two are, and both count. Reading a value is not part of this role.
resource "google_secret_manager_secret_iam_member" "readers_see_versions" {
  for_each = var.readers

  project   = var.project_id
  secret_id = google_secret_manager_secret.this.secret_id
  role      = "roles/secretmanager.viewer"
  member    = each.value
}
