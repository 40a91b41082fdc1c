# Addresses of version 0.1, so that an upgrade keeps what is there. They can be removed once every environment was applied with 0.2.

moved {
  from = module.job["identify"].module.function
  to   = module.function["identify"]
}

moved {
  from = module.function["identify"].google_service_account.runtime
  to   = google_service_account.function["identify"]
}

moved {
  from = module.function["identify"].google_cloud_run_v2_service_iam_member.invoker["push"]
  to   = module.job["identify"].google_cloud_run_v2_service_iam_member.push
}

moved {
  from = module.job["track"].module.function
  to   = module.function["track"]
}

moved {
  from = module.function["track"].google_service_account.runtime
  to   = google_service_account.function["track"]
}

moved {
  from = module.function["track"].google_cloud_run_v2_service_iam_member.invoker["push"]
  to   = module.job["track"].google_cloud_run_v2_service_iam_member.push
}

moved {
  from = module.job["send"].module.function
  to   = module.function["send"]
}

moved {
  from = module.function["send"].google_service_account.runtime
  to   = google_service_account.function["send"]
}

moved {
  from = module.function["send"].google_cloud_run_v2_service_iam_member.invoker["push"]
  to   = module.job["send"].google_cloud_run_v2_service_iam_member.push
}

moved {
  from = module.job["broadcast"].module.function
  to   = module.function["broadcast"]
}

moved {
  from = module.function["broadcast"].google_service_account.runtime
  to   = google_service_account.function["broadcast"]
}

moved {
  from = module.function["broadcast"].google_cloud_run_v2_service_iam_member.invoker["push"]
  to   = module.job["broadcast"].google_cloud_run_v2_service_iam_member.push
}

moved {
  from = module.job["sync"].module.function
  to   = module.function["sync"]
}

moved {
  from = module.function["sync"].google_service_account.runtime
  to   = google_service_account.function["sync"]
}

moved {
  from = module.function["sync"].google_cloud_run_v2_service_iam_member.invoker["push"]
  to   = module.job["sync"].google_cloud_run_v2_service_iam_member.push
}

moved {
  from = module.job["events"].module.function
  to   = module.function["archive"]
}

moved {
  from = module.function["archive"].google_service_account.runtime
  to   = google_service_account.function["archive"]
}

moved {
  from = module.function["archive"].google_cloud_run_v2_service_iam_member.invoker["push"]
  to   = module.job["events"].google_cloud_run_v2_service_iam_member.push
}

moved {
  from = module.webhook
  to   = module.function["webhook"]
}

moved {
  from = module.function["webhook"].google_service_account.runtime
  to   = google_service_account.function["webhook"]
}

# Ordered jobs had a main and a retry lane once. Their subscriptions stay what they are, with all that waits in them.
moved {
  from = module.job["identify"].google_pubsub_subscription.lane["main"]
  to   = module.job["identify"].google_pubsub_subscription.lane["patient"]
}

moved {
  from = module.job["sync"].google_pubsub_subscription.lane["main"]
  to   = module.job["sync"].google_pubsub_subscription.lane["patient"]
}
