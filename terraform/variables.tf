variable "alert_thresholds" {
  description = <<-EOT
    When alerts fire; docs/runbooks.md explains each. Ratios are 0 to 1, ages and latencies seconds. `webhook_silent_hours` is how long
    Customer.io may report nothing: up to 23, or 0 for as long as it likes. `pause_seconds` is how long a kind of job may be paused.
  EOT
  type = object({
    dead_letters               = optional(number, 0)
    main_lane_age_seconds      = optional(number, 900)
    retry_lane_age_seconds     = optional(number, 14400)
    consumer_age_seconds       = optional(number, 21600)
    push_error_ratio           = optional(number, 0.2)
    function_latency_seconds   = optional(number, 20)
    webhook_latency_seconds    = optional(number, 2)
    webhook_unauthorized_ratio = optional(number, 0.5)
    webhook_silent_hours       = optional(number, 12)
    bounce_ratio               = optional(number, 0.05)
    spam_ratio                 = optional(number, 0.001)
    minimum_sends_for_a_ratio  = optional(number, 200)
    pause_seconds              = optional(number, 900)
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for name, threshold in var.alert_thresholds : threshold > 0 && threshold < 1 if endswith(name, "_ratio") && !startswith(name, "minimum")
    ])
    error_message = "alert_thresholds: push_error_ratio, webhook_unauthorized_ratio, bounce_ratio and spam_ratio are shares between 0 and 1, such as 0.05 for 5 %."
  }

  validation {
    condition     = var.alert_thresholds.webhook_silent_hours >= 0 && var.alert_thresholds.webhook_silent_hours <= 23
    error_message = "alert_thresholds.webhook_silent_hours must be 0 to 23: Cloud Monitoring notices silence of up to 23.5 hours."
  }

  validation {
    condition     = var.alert_thresholds.pause_seconds >= 60 && var.alert_thresholds.pause_seconds < 7 * 86400
    error_message = "alert_thresholds.pause_seconds must be from 60 to below 7 days (604800): by then Pub/Sub has dropped the jobs."
  }

  validation {
    condition     = var.alert_thresholds.consumer_age_seconds < 7 * 86400
    error_message = "alert_thresholds.consumer_age_seconds must be below 7 days (604800): by then Pub/Sub has dropped the event."
  }
}

variable "customerio" {
  description = <<-EOT
    The Customer.io account. `region` is where the workspace is (us or eu), as its settings say. `rates` is given where the account's
    own limits differ from the published ones in shared/topology.json.
  EOT
  type = object({
    region = optional(string, "us")
    rates = optional(map(object({
      requests    = number
      per_seconds = optional(number, 1)
    })), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["us", "eu"], var.customerio.region)
    error_message = "customerio.region must be \"us\" or \"eu\": where Customer.io keeps the workspace, not a Google Cloud region."
  }

  validation {
    condition     = alltrue([for name in keys(var.customerio.rates) : contains(keys(local.topology.rates), name)])
    error_message = "customerio.rates has the keys ${join(", ", keys(local.topology.rates))}, as in shared/topology.json."
  }

  validation {
    condition     = alltrue([for rate in values(var.customerio.rates) : rate.requests > 0 && rate.per_seconds > 0])
    error_message = "customerio.rates: requests and per_seconds must both be above 0."
  }
}

variable "deletion_protection" {
  description = "Keep what cannot be had again: event tables, ledger, secrets, stored sources. A destroy fails until this is false and applied."
  type        = bool
  default     = true
  nullable    = false
}

variable "environment" {
  description = "Begins every name and labels every resource, so that several environments can share a project."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "environment must be 2 to 10 lower-case letters and digits, a letter first, such as dev, staging or prod."
  }
}

variable "event_subscriptions" {
  description = <<-EOT
    The company's own consumers, by name: each gets a subscription and dead letters of its own, on `topic` `events` (Customer.io's events),
    `outcomes` (what became of jobs, with the delivery id) or `consent` (opt-outs and opt-ins). `filter` is Pub/Sub's filter over attributes, such as `attributes.metric = "unsubscribed"`. With `push_endpoint` Pub/Sub posts each
    event there with an OIDC token (`push_audience`, default the endpoint); without it the `pullers` pull.
  EOT
  type = map(object({
    topic                = optional(string, "events")
    filter               = optional(string, "")
    push_endpoint        = optional(string)
    push_audience        = optional(string)
    pullers              = optional(set(string), [])
    ack_deadline_seconds = optional(number, 60)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.event_subscriptions) : can(regex("^[a-z][a-z0-9-]{1,40}$", name))])
    error_message = "event_subscriptions: a name is 2 to 41 lower-case letters, digits and -, a letter first."
  }

  validation {
    condition     = alltrue([for name in keys(var.event_subscriptions) : !contains(["retry", "dead-letter"], name)])
    error_message = "event_subscriptions: \"retry\" and \"dead-letter\" are the names of the topic's own lanes."
  }

  validation {
    condition     = alltrue([for s in values(var.event_subscriptions) : contains(["events", "outcomes", "consent"], s.topic)])
    error_message = "event_subscriptions: topic must be \"events\" (what Customer.io reports), \"outcomes\" (what became of jobs) or \"consent\" (opt-outs and opt-ins)."
  }

  validation {
    condition     = alltrue([for s in values(var.event_subscriptions) : length(s.filter) <= 256])
    error_message = "event_subscriptions: Pub/Sub takes filters of at most 256 bytes."
  }

  validation {
    condition     = alltrue([for s in values(var.event_subscriptions) : try(startswith(s.push_endpoint, "https://"), true)])
    error_message = "event_subscriptions: push_endpoint must begin with https://."
  }

  validation {
    condition     = alltrue([for s in values(var.event_subscriptions) : s.push_endpoint == null || length(s.pullers) == 0])
    error_message = "event_subscriptions: a subscription either pushes (push_endpoint) or is pulled (pullers), not both."
  }

  validation {
    condition     = alltrue([for s in values(var.event_subscriptions) : s.ack_deadline_seconds >= 10 && s.ack_deadline_seconds <= 600])
    error_message = "event_subscriptions: ack_deadline_seconds must be 10 to 600."
  }
}

variable "functions" {
  description = <<-EOT
    Sizes that differ from shared/topology.json in this environment, by function. Rates per instance follow from `max_instances`.
    `min_instances` keeps instances warm: give the webhook one, as Customer.io waits only 4 s for it.
  EOT
  type = map(object({
    memory        = optional(string)
    max_instances = optional(number)
    min_instances = optional(number, 0)
  }))
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for name in keys(var.functions) : contains(keys(local.topology.functions), name)
    ])
    error_message = "functions has the keys ${join(", ", keys(local.topology.functions))}."
  }

  validation {
    condition     = try(var.functions["broadcast"].max_instances, null) == null || try(var.functions["broadcast"].max_instances, 1) == 1
    error_message = "functions.broadcast.max_instances must stay 1: Customer.io takes one broadcast per 10 s, and one instance keeps count."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.min_instances >= 0 && f.min_instances <= coalesce(f.max_instances, 1000)])
    error_message = "functions: min_instances must be between 0 and max_instances."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : coalesce(f.max_instances, 1) >= 1])
    error_message = "functions: max_instances must be at least 1."
  }
}

variable "github_deploy" {
  description = <<-EOT
    Lets .github/workflows/deploy.yml of one GitHub repository plan and apply without a key. `repository` is OWNER/NAME; `repository_id`
    its number (`gh api repos/OWNER/NAME --jq .id`), which a later owner of the same name does not get.
  EOT
  type = object({
    repository    = string
    repository_id = string
    branch        = optional(string, "main")
  })
  default = null

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.github_deploy.repository)) || var.github_deploy == null
    error_message = "github_deploy.repository must be OWNER/NAME."
  }

  validation {
    condition     = can(regex("^[0-9]+$", var.github_deploy.repository_id)) || var.github_deploy == null
    error_message = "github_deploy.repository_id must be a number: gh api repos/OWNER/NAME --jq .id"
  }
}

variable "kms_key" {
  description = <<-EOT
    A key of your own that encrypts messages, tables, ledger, secrets, sources and functions; docs/deploy.md says how to make one.
    projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY, in `region`. It must be given at the first apply: Firestore, BigQuery and
    Artifact Registry take no other key later.
  EOT
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "kms_key must be a key's whole name, projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY, without a version."
  }

  validation {
    condition     = var.kms_key == null || try(split("/", var.kms_key)[3] == var.region, false)
    error_message = "kms_key must be in region: a service takes no key from elsewhere."
  }

  validation {
    condition = var.kms_key == null || alltrue([
      for location in concat([var.warehouse.location, var.ledger.location], tolist(var.secrets.replicas), tolist(coalesce(var.message_regions, []))) :
      location == null || location == var.region
    ])
    error_message = "With kms_key everything is in region: leave out warehouse.location, ledger.location, secrets.replicas and message_regions."
  }
}

variable "ledger" {
  description = "Firestore's location: a region or a multi-region such as eur3 or nam5. Default: `region`. It cannot be changed later."
  type = object({
    location = optional(string)
  })
  default  = {}
  nullable = false
}

variable "logs" {
  description = <<-EOT
    Shares of log lines that are kept, 0 to 1. `jobs`: our line of each job that succeeded. `requests`: Cloud Run's own line of each request that
    succeeded, which says nothing more. Warnings and errors are always kept, and metrics count every line.
  EOT
  type = object({
    jobs     = optional(number, 1)
    requests = optional(number, 0)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for share in values(var.logs) : share >= 0 && share <= 1])
    error_message = "logs: jobs and requests are shares between 0 and 1, such as 0.05 for 5 %."
  }
}

variable "message_regions" {
  description = "Regions in which Pub/Sub may keep messages (default: `region`). A publisher elsewhere is served; its messages are kept here."
  type        = set(string)
  default     = null

  validation {
    condition     = var.message_regions == null || can(length(var.message_regions) > 0 ? [for region in var.message_regions : regex("^[a-z]+-[a-z]+[0-9]+$", region)] : [regex("a", "")])
    error_message = "message_regions must be one or more Google Cloud regions such as europe-west1."
  }
}

variable "network" {
  description = <<-EOT
    A VPC subnetwork in `region` through which functions call out, such as projects/HOST/regions/REGION/subnetworks/NAME: for a firewall, or one fixed address
    (Cloud NAT). `egress` is "all", or "private" for private addresses alone. Default: straight to the internet.
  EOT
  type = object({
    subnetwork = string
    egress     = optional(string, "all")
    tags       = optional(set(string), [])
  })
  default = null

  validation {
    condition     = var.network == null || try(contains(["all", "private"], var.network.egress), false)
    error_message = "network.egress must be \"all\" or \"private\"."
  }

  validation {
    condition     = var.network == null || can(regex("^projects/[^/]+/regions/[^/]+/subnetworks/[^/]+$", var.network.subnetwork))
    error_message = "network.subnetwork must be a subnetwork's whole name, projects/PROJECT/regions/REGION/subnetworks/NAME."
  }
}

variable "notifications" {
  description = "Who is told of alerts: email addresses, and ids of existing channels (projects/P/notificationChannels/N), such as PagerDuty."
  type = object({
    emails   = optional(set(string), [])
    channels = optional(set(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for id in var.notifications.channels : can(regex("^projects/[^/]+/notificationChannels/[0-9]+$", id))])
    error_message = "notifications.channels: an id is projects/PROJECT/notificationChannels/NUMBER (gcloud beta monitoring channels list)."
  }

  validation {
    condition     = alltrue([for address in var.notifications.emails : can(regex("^[^@\\s]+@[^@\\s]+$", address))])
    error_message = "notifications.emails must be email addresses."
  }
}

variable "operators" {
  description = "Who may read, replay and discard dead letters, as IAM members such as group:oncall@example.com."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.operators : can(regex("^(user|group|serviceAccount|principal|principalSet):.+$", member))])
    error_message = "operators: an IAM member is user:, group: or serviceAccount: and an address. Not allUsers: dead letters hold personal data."
  }
}

variable "outcomes" {
  description = <<-EOT
    What became of jobs, on the topic cio-outcomes and in the table job_outcomes. Sends, broadcasts, failures and retries are always kept.
    `sample` is the share of identify, track and sync jobs, 0 to 1, whose success is kept too; docs/deploy.md says what it costs.
  EOT
  type = object({
    sample = optional(number, 0)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.outcomes.sample >= 0 && var.outcomes.sample <= 1
    error_message = "outcomes.sample must be a share between 0 and 1, such as 0.01 for 1 %."
  }
}

variable "privacy_officers" {
  description = <<-EOT
    Who may run `python -m ops forget`, as IAM members: they may use the ledger's database, delete rows of the tables, and read the Track and
    App API keys. Nobody by default. Name them in `operators` too, for dead letters; the right to run queries is theirs from elsewhere.
  EOT
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.privacy_officers : can(regex("^(user|group|serviceAccount|principal|principalSet):.+$", member))])
    error_message = "privacy_officers: an IAM member is user:, group: or serviceAccount: and an address. Not allUsers: it is the right to delete."
  }
}

variable "project_id" {
  description = "The Google Cloud project that everything is created in."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be a project's id (6 to 30 lower-case letters, digits and -), not its name or number."
  }
}

variable "publishers" {
  description = "Which of the company's applications may publish jobs, by kind, as IAM members."
  type        = map(set(string))
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for kind in keys(var.publishers) : contains(local.job_topics, kind)])
    error_message = "publishers has the keys ${join(", ", local.job_topics)}: applications publish jobs and nothing else."
  }

  validation {
    condition = alltrue([
      for member in flatten(values(var.publishers)) : can(regex("^(user|group|serviceAccount|principal|principalSet):.+$", member))
    ])
    error_message = "publishers: an IAM member is user:, group: or serviceAccount: and an address. Not allUsers: a job is sent to Customer.io as it is."
  }
}

variable "recipients" {
  description = <<-EOT
    Who may be written to; docs/recipients.md explains each field. Default: everybody in the environment "prod", nobody in any other.
    `redirect_to` is an inbox that gets the emails which nobody else may get.
  EOT
  type = object({
    everybody      = optional(bool)
    domains        = optional(set(string))
    addresses      = optional(set(string))
    ids            = optional(set(string))
    phone_prefixes = optional(set(string))
    redirect_to    = optional(string)
    broadcasts     = optional(bool)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for domain in coalesce(var.recipients.domains, []) : can(regex("^[A-Za-z0-9-]+([.][A-Za-z0-9-]+)+$", domain))])
    error_message = "recipients.domains are what follows the @ of an address, such as example.com."
  }

  validation {
    condition     = alltrue([for prefix in coalesce(var.recipients.phone_prefixes, []) : can(regex("^[+][1-9][0-9]*$", prefix))])
    error_message = "recipients.phone_prefixes begin with + and a country's code, such as +1555."
  }

  validation {
    condition     = var.recipients.redirect_to == null || can(regex("^[^@ ,<>]+@[A-Za-z0-9.-]+$", var.recipients.redirect_to))
    error_message = "recipients.redirect_to must be one email address."
  }

  validation {
    condition     = !(coalesce(var.recipients.everybody, false) && var.recipients.redirect_to != null)
    error_message = "recipients: with everybody = true no email is redirected; leave one of the two out."
  }
}

variable "region" {
  description = "The Google Cloud region of functions and storage, near where the jobs are published."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a Google Cloud region such as europe-west1, not a zone or a multi-region."
  }
}

variable "runbooks_url" {
  description = "Address of docs/runbooks.md where people can read it, for a link in every alert: https://github.com/OWNER/NAME/blob/main/docs/runbooks.md."
  type        = string
  default     = null

  validation {
    condition     = can(regex("^https://.+", var.runbooks_url)) || var.runbooks_url == null
    error_message = "runbooks_url must begin with https://."
  }
}

variable "secrets" {
  description = <<-EOT
    How secrets are kept; never their values. `replicas` lists regions (default: Google chooses). `rotation` asks for a reminder every
    `every_days` days; the value is changed by hand, docs/deploy.md says how.
  EOT
  type = object({
    replicas = optional(set(string), [])
    rotation = optional(object({
      every_days = optional(number, 90)
    }))
  })
  default  = {}
  nullable = false

  validation {
    condition     = try(var.secrets.rotation.every_days >= 1, true)
    error_message = "secrets.rotation.every_days must be at least 1."
  }
}

variable "source_root" {
  description = <<-EOT
    Folder with functions/, shared/ and requirements.txt to deploy the code from (default: this checkout). To go back to earlier code name
    an earlier checkout: topics, tables and rights stay as they are here, and no column is dropped.
  EOT
  type        = string
  default     = null

  validation {
    condition     = var.source_root == null || try(fileexists("${var.source_root}/requirements.txt"), false)
    error_message = "source_root must be a folder with requirements.txt, functions/ and shared/: a checkout of this repository."
  }
}

variable "warehouse" {
  description = <<-EOT
    BigQuery. `location` is a region or a multi-region (EU, US; default `region`) and cannot be changed later. `expiry_days` drops daily
    partitions after so many days (default: kept). `analysts` may read, as IAM members.
  EOT
  type = object({
    location    = optional(string)
    expiry_days = optional(number)
    analysts    = optional(set(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = try(var.warehouse.expiry_days >= 1, true)
    error_message = "warehouse.expiry_days must be at least 1, or left out to keep every event."
  }
}

variable "webhook" {
  description = <<-EOT
    How Customer.io reaches the webhook. `ingress` is "all", or "load-balancer" for an external Application Load Balancer of yours alone, with its
    firewall (Cloud Armor) and name; docs/deploy.md says what to point at.
  EOT
  type = object({
    ingress = optional(string, "all")
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["all", "load-balancer"], var.webhook.ingress)
    error_message = "webhook.ingress must be \"all\" or \"load-balancer\"."
  }
}
