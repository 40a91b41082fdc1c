# The least that runs: everything else has a default.
module "customerio" {
  # From elsewhere: "git::https://github.com/OWNER/NAME.git//terraform?ref=v0.2.0"
  source = "../.."

  project_id  = var.project_id
  region      = "europe-west1"
  environment = "dev"
}
