# Development: small, and gone when it is destroyed.
project_id  = "example-customerio-dev"
region      = "europe-west1"
environment = "dev"

customerio = {
  region = "eu"
}

# Only colleagues get what is sent from here; all other emails end in one inbox.
recipients = {
  domains     = ["example.com"]
  redirect_to = "customerio-dev@example.com"
}

deletion_protection = false

warehouse = {
  expiry_days = 30
}

# One instance of each is enough here.
functions = {
  identify = { max_instances = 1 }
  track    = { max_instances = 1 }
  send     = { max_instances = 1 }
  sync     = { max_instances = 1 }
  archive  = { max_instances = 1 }
  webhook  = { max_instances = 2 }
}

# Days may pass without a message here.
alert_thresholds = {
  webhook_silent_hours = 0
}
