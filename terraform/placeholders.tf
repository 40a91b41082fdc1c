# The environments' files name a company that does not exist. IAM would refuse its principals one by one in the middle of an apply, and its
# project might be somebody's; so a plan fails and names each line that is still to be changed.
locals {
  settings_to_replace = {
    project_id                          = [var.project_id]
    operators                           = var.operators
    runbooks_url                        = compact([var.runbooks_url])
    privacy_officers                    = var.privacy_officers
    "notifications.emails"              = var.notifications.emails
    "notifications.channels"            = var.notifications.channels
    "warehouse.analysts"                = var.warehouse.analysts
    "github_deploy.repository"          = compact([try(var.github_deploy.repository, null)])
    "event_subscriptions…push_endpoint" = compact([for s in values(var.event_subscriptions) : s.push_endpoint])
    "event_subscriptions…pullers"       = flatten([for s in values(var.event_subscriptions) : tolist(s.pullers)])
    publishers                          = flatten([for members in values(var.publishers) : tolist(members)])
  }

  # `example` as a word: example.com, example-shop, https://github.com/example/...
  placeholders = concat(
    distinct(flatten([
      for setting, values in local.settings_to_replace : [
        for value in values : "${setting} has ${value}" if can(regex("(^|[^a-z])example([^a-z]|$)", value))
      ]
    ])),
    try(var.github_deploy.repository_id, "") == "123456789" ? ["github_deploy.repository_id has 123456789"] : [],
  )
}
