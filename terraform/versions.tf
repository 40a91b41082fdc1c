terraform {
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 8.0"
    }
    # For google_project_service_identity alone, which the other provider does not have.
    google-beta = {
      source  = "hashicorp/google-beta"
      version = "~> 8.0"
    }
    archive = {
      source  = "hashicorp/archive"
      version = "~> 2.7"
    }
    time = {
      source  = "hashicorp/time"
      version = "~> 0.12"
    }
  }

  # Bucket and prefix come from environments/<environment>.tfbackend; docs/deploy.md creates the bucket.
  backend "gcs" {}
}

provider "google" {
  project = var.project_id
  region  = var.region

  default_labels = {
    application = "customerio-functions"
    environment = var.environment
  }
}

provider "google-beta" {
  project = var.project_id
  region  = var.region
}
