# Production.
project_id  = "example-customerio-prod"
region      = "europe-west1"
environment = "prod"

customerio = {
  region = "eu"
}

deletion_protection = true

# More than two years of events, in the European multi-region.
warehouse = {
  location    = "EU"
  expiry_days = 800
  analysts    = ["group:analysts@example.com"]
}

# Two regions of Firestore: a send must not wait for one of them.
ledger = {
  location = "eur3"
}

# Personal data's keys stay in the Union. A reminder comes each quarter.
secrets = {
  replicas = ["europe-west1", "europe-west4"]
  rotation = { every_days = 90 }
}

# Customer.io waits 4 s for the webhook: two instances are always warm.
functions = {
  webhook = { min_instances = 2 }
  send    = { min_instances = 1 }
}

operators = ["group:messaging-operators@example.com"]

publishers = {
  identify  = ["serviceAccount:shop@example-shop-prod.iam.gserviceaccount.com"]
  track     = ["serviceAccount:shop@example-shop-prod.iam.gserviceaccount.com"]
  send      = ["serviceAccount:shop@example-shop-prod.iam.gserviceaccount.com"]
  broadcast = ["serviceAccount:marketing@example-shop-prod.iam.gserviceaccount.com"]
  sync      = ["serviceAccount:accounts@example-shop-prod.iam.gserviceaccount.com"]
}

# The company's own consumers: one is called, two pull. The shop learns the delivery ids of its sends.
event_subscriptions = {
  crm = {
    filter        = "attributes.metric = \"unsubscribed\""
    push_endpoint = "https://crm.example.com/customerio-events"
  }
  fraud = {
    filter  = "attributes.metric = \"bounced\" OR attributes.metric = \"spammed\""
    pullers = ["serviceAccount:fraud@example-shop-prod.iam.gserviceaccount.com"]
  }
  shop = {
    topic   = "outcomes"
    filter  = "attributes.kind = \"send\""
    pullers = ["serviceAccount:shop@example-shop-prod.iam.gserviceaccount.com"]
  }
}

notifications = {
  emails = ["messaging-operators@example.com"]
}

runbooks_url = "https://github.com/example/customerio-functions/blob/main/docs/runbooks.md"

github_deploy = {
  repository    = "example/customerio-functions"
  repository_id = "123456789"
}
