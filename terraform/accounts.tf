# Who each function is when it runs. They are made here and not with the functions: what is granted to them comes before the function that
# needs it. None may do anything until somebody grants it something.
resource "google_service_account" "function" {
  for_each = local.functions

  project      = local.project
  account_id   = each.value.name
  display_name = "Runs the function ${each.value.name}"
}
