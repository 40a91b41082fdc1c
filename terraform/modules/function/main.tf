locals {
  # What the function is made of, by its place in the archive: its own entry point, the shared code, what to install.
  files = merge(
    {
      "main.py"          = "${var.source_root}/functions/${var.entry_point}/main.py"
      "requirements.txt" = "${var.source_root}/requirements.txt"
    },
    {
      for file in fileset("${var.source_root}/shared", "**/*.{py,json}") : "shared/${file}" => "${var.source_root}/shared/${file}"
    },
  )

  # The archive is named by what is in it. Its own hash would do until another version of the archive provider, or of its
  # compression, made other bytes of the same files and redeployed everything.
  egress = { all = "VPC_EGRESS_ALL_TRAFFIC", private = "VPC_EGRESS_PRIVATE_RANGES_ONLY" }
  digest = sha256(jsonencode({ for path, file in local.files : path => filesha256(file) }))
}

data "archive_file" "source" {
  type             = "zip"
  output_path      = "${path.root}/build/${var.name}.zip"
  output_file_mode = "0644"

  dynamic "source" {
    for_each = local.files

    content {
      filename = source.key
      content  = file(source.value)
    }
  }
}

resource "google_storage_bucket_object" "source" {
  bucket = var.build.bucket
  name   = "${var.name}/${local.digest}.zip"
  source = data.archive_file.source.output_path
}

resource "google_cloudfunctions2_function" "this" {
  project     = var.project_id
  location    = var.region
  name        = var.name
  description = var.description

  kms_key_name = var.kms_key

  build_config {
    runtime           = "python313"
    entry_point       = var.entry_point
    service_account   = var.build.service_account
    docker_repository = var.build.repository

    source {
      storage_source {
        bucket = google_storage_bucket_object.source.bucket
        object = google_storage_bucket_object.source.name
      }
    }
  }

  service_config {
    service_account_email = var.account.email
    environment_variables = var.environment
    ingress_settings      = var.ingress
    direct_vpc_egress     = var.network == null ? null : local.egress[var.network.egress]

    dynamic "direct_vpc_network_interface" {
      for_each = var.network == null ? [] : [var.network]

      content {
        subnetwork = direct_vpc_network_interface.value.subnetwork
        tags       = direct_vpc_network_interface.value.tags
      }
    }

    available_memory                 = var.size.memory
    available_cpu                    = "1" # more than one request at a time needs a whole CPU
    max_instance_request_concurrency = var.size.concurrency
    min_instance_count               = var.size.min_instances
    max_instance_count               = var.size.max_instances
    timeout_seconds                  = var.size.timeout_seconds
  }
}

# Only these may call the function: a 2nd generation function is a Cloud Run service, and its callers are granted there.
resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = var.invokers

  project  = var.project_id
  location = var.region
  name     = google_cloudfunctions2_function.this.name
  role     = "roles/run.invoker"
  member   = each.value
}
