# Two environments in one project. They share its quotas and APIs, and no name and no grant: either can be destroyed alone.
module "dev" {
  source = "../.."

  project_id          = var.project_id
  region              = "europe-west1"
  environment         = "dev"
  operators           = var.operators
  deletion_protection = false
}

module "staging" {
  source = "../.."

  project_id          = var.project_id
  region              = "europe-west1"
  environment         = "staging"
  operators           = var.operators
  deletion_protection = false
}
