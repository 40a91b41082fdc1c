# A company whose projects are strict: a key of its own for all data, calls to the outside through its own network, and a load balancer of its own
# in front of the webhook.
module "customerio" {
  source = "../.."

  project_id  = var.project_id
  region      = "europe-west1"
  environment = "prod"
  customerio  = { region = "eu" }

  kms_key = "projects/${var.security_project}/locations/europe-west1/keyRings/customerio/cryptoKeys/data"
  network = { subnetwork = "projects/${var.project_id}/regions/europe-west1/subnetworks/functions" }
  webhook = { ingress = "load-balancer" }

  event_subscriptions = {
    crm = { pullers = [var.application] }
  }
  secrets = { rotation = {} }
}
