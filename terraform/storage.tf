# Where builds come from and go to.
module "source" {
  source = "./modules/source"

  project_id     = var.project_id
  project_number = data.google_project.this.number
  region         = var.region
  name           = "${local.prefix}cio"
  bucket         = "${var.project_id}-${local.prefix}cio-source"
  protected      = var.deletion_protection

  depends_on = [google_project_service.this]
}

# Claims of sends and broadcasts, and what sync sent last.
module "ledger" {
  source = "./modules/ledger"

  project_id = var.project_id
  location   = coalesce(var.ledger.location, var.region)
  database   = "${local.prefix}cio-ledger"
  protected  = var.deletion_protection
  writers    = { for name, function in local.topology.functions : name => local.function_members[name] if function.ledger }

  depends_on = [google_project_service.this]
}

# Customer.io's events, for analysts.
module "warehouse" {
  source = "./modules/warehouse"

  project_id  = var.project_id
  location    = coalesce(var.warehouse.location, var.region)
  dataset_id  = "${var.environment}_customerio"
  schemas     = "${path.module}/schemas"
  views       = "${path.module}/views"
  expiry_days = var.warehouse.expiry_days
  protected   = var.deletion_protection
  writers     = { archive = local.function_members["archive"] }
  analysts    = var.warehouse.analysts

  depends_on = [google_project_service.this]
}
