# Development: small, and gone when it is destroyed.
project_id  = "example-customerio-dev"
region      = "europe-west1"
environment = "dev"

customerio = {
  region = "eu"
}

deletion_protection = false

warehouse = {
  expiry_days = 30
}

# A quarter of the published rates: the development workspace shares the account with the others.
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
