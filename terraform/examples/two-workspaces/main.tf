# Two Customer.io workspaces, each with credentials, topics and rates of its own. The name of the environment tells them apart.
module "shop" {
  source = "../.."

  project_id  = var.project_id
  region      = "europe-west1"
  environment = "shop"
  customerio  = { region = "eu" }
}

module "news" {
  source = "../.."

  project_id  = var.project_id
  region      = "europe-west1"
  environment = "news"
  customerio  = { region = "us", rates = { send = { requests = 50 } } }
}
