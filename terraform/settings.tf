# What each function is told by its environment. shared/settings.py and shared/secrets.py read these names.
locals {
  common_settings = {
    GOOGLE_CLOUD_PROJECT = var.project_id

    # Google turns this on where it is not set, and functions-framework then parses and rewrites every line that is printed.
    # Our lines carry the trace already.
    LOG_EXECUTION_ID = "false"
  }

  # Who keeps claims: what Customer.io would do twice if it were told twice, and what sync sent last.
  ledger_functions = ["send", "broadcast", "sync"]

  # Names of secrets, not values: the functions read the values as they run, so a rotation needs no apply.
  secret_settings = {
    for function in keys(local.topology.functions) : function => {
      for key, secret in local.secrets : "${secret.variable}_SECRET" => module.secret[key].id
      if contains(secret.functions, function)
    }
  }

  job_settings = {
    for kind in values(local.topology.jobs) : kind.function => merge(
      local.common_settings,
      local.secret_settings[kind.function],
      kind.rate == null ? {} : {
        CUSTOMERIO_REGION              = var.customerio.region
        CUSTOMERIO_REQUESTS_PER_SECOND = tostring(local.instance_rates[kind.rate])
      },
      contains(local.ledger_functions, kind.function) ? { LEDGER = "firestore:${module.ledger.database}" } : {},
      kind.function == "archive" ? { BIGQUERY_DATASET = module.warehouse.dataset_id } : {},
    )
  }

  webhook_settings = merge(local.common_settings, local.secret_settings["webhook"], {
    EVENTS_TOPIC      = module.job["events"].topic_id
    DEAD_LETTER_TOPIC = module.job["events"].dead_letter_topic_id
  })
}
