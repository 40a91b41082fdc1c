# What each function is told by its environment. shared/settings.py and shared/secrets.py read these names.
locals {
  common_settings = {
    GOOGLE_CLOUD_PROJECT = var.project_id

    # Google turns this on where it is not set, and functions-framework then parses and rewrites every line that is printed.
    # Our lines carry the trace already.
    LOG_EXECUTION_ID = "false"
  }

  # Names of secrets, not values: the functions read the values as they run, so a rotation needs no apply.
  secret_settings = {
    for function in keys(local.topology.functions) : function => {
      for key, secret in local.secrets : "${secret.variable}_SECRET" => module.secret[key].id
      if contains(local.topology.functions[function].secrets, secret.name)
    }
  }

  job_settings = {
    for topic in values(local.topology.topics) : topic.function => merge(
      local.common_settings,
      local.secret_settings[topic.function],
      topic.rate == null ? {} : {
        CUSTOMERIO_REGION              = var.customerio.region
        CUSTOMERIO_REQUESTS_PER_SECOND = tostring(local.instance_rates[topic.rate])
      },
      local.topology.functions[topic.function].ledger ? { LEDGER = "firestore:${module.ledger.database}" } : {},
      local.topology.functions[topic.function].warehouse ? { BIGQUERY_DATASET = module.warehouse.dataset_id } : {},
    )
  }

  webhook_settings = merge(local.common_settings, local.secret_settings["webhook"], {
    EVENTS_TOPIC      = module.job["events"].topic_id
    DEAD_LETTER_TOPIC = module.job["events"].dead_letter_topic_id
  })
}
