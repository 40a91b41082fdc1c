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

  rates_of = {
    for name, topics in local.topics_of :
    name => one(distinct([for key in topics : local.topology.topics[key].rate if local.topology.topics[key].rate != null]))
  }

  # Whoever is not named in an environment other than prod gets nothing: a copy of prod's data must not reach people.
  named_recipients = { for name, value in var.recipients : name => value if value != null && name != "everybody" }
  recipients = merge(local.named_recipients, {
    everybody = coalesce(var.recipients.everybody, var.environment == "prod" && length(local.named_recipients) == 0)
  })

  function_settings = {
    for name, function in local.topology.functions : name => merge(
      local.common_settings,
      local.secret_settings[name],
      local.rates_of[name] == null ? {} : {
        CUSTOMERIO_REGION              = var.customerio.region
        CUSTOMERIO_REQUESTS_PER_SECOND = tostring(local.instance_rates[local.rates_of[name]])
        CONTROL_TOPIC                  = local.topic_ids["control"]
      },
      contains(["send", "broadcast"], name) ? { RECIPIENTS = jsonencode(local.recipients) } : {},
      name == "control" ? { CUSTOMERIO_REGION = var.customerio.region } : {}, # and PUSH_TARGETS, in control.tf
      function.ledger ? { LEDGER = "firestore:${module.ledger.database}" } : {},
      contains(local.job_functions, name) ? {
        OUTCOMES_TOPIC  = local.topic_ids["outcomes"]
        OUTCOMES_SAMPLE = tostring(var.outcomes.sample)
      } : {},
      # Archive takes two topics: each has dead letters of its own.
      name == local.topology.topics["outcomes"].function ? { OUTCOMES_DEAD_LETTER_TOPIC = "${local.topic_ids["outcomes"]}-dead-letter" } : {},
      function.warehouse ? { BIGQUERY_DATASET = module.warehouse.dataset_id } : {},
      # The webhook has no topic of its own: what it verifies goes to the events topic, the rest to that topic's dead letters.
      function.trigger == "https" ? {
        EVENTS_TOPIC  = local.topic_ids["events"]
        CONSENT_TOPIC = google_pubsub_topic.consumer["consent"].id
      } : {},
      { DEAD_LETTER_TOPIC = "${local.topic_ids[concat(local.topics_of[name], ["events"])[0]]}-dead-letter" },
    )
  }
}
