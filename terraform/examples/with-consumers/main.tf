# Applications that publish jobs, and two systems of the company's own that learn what Customer.io reports: one is called, one pulls.
module "customerio" {
  source = "../.."

  project_id  = var.project_id
  region      = "europe-west1"
  environment = "prod"
  customerio  = { region = "eu" }

  publishers = {
    identify = [var.application]
    track    = [var.application]
    send     = [var.application]
  }

  event_subscriptions = {
    crm = {
      filter        = "attributes.metric = \"unsubscribed\""
      push_endpoint = var.crm_endpoint
    }
    fraud = {
      filter  = "attributes.metric = \"bounced\" OR attributes.metric = \"spammed\""
      pullers = [var.application]
    }
  }
}
