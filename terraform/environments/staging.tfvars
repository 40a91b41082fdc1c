# Staging: as production, with fewer instances, and free to be destroyed.
project_id  = "example-customerio-staging"
region      = "europe-west1"
environment = "staging"

customerio = {
  region = "eu"
}

deletion_protection = false

warehouse = {
  expiry_days = 90
}

functions = {
  webhook = { min_instances = 1, max_instances = 4 }
}

operators = ["group:messaging-operators@example.com"]

publishers = {
  identify = ["serviceAccount:shop@example-shop-staging.iam.gserviceaccount.com"]
  track    = ["serviceAccount:shop@example-shop-staging.iam.gserviceaccount.com"]
  send     = ["serviceAccount:shop@example-shop-staging.iam.gserviceaccount.com"]
}

notifications = {
  emails = ["messaging-operators@example.com"]
}

# Days may pass without a message here.
alert_thresholds = {
  webhook_silent_hours = 0
}
