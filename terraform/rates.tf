locals {
  # What Customer.io accepts from the account, in requests per second.
  account_rates = {
    for name, rate in local.topology.rates : name => try(
      var.customerio.rates[name].requests / var.customerio.rates[name].per_seconds,
      rate.requests / rate.per_seconds,
    )
  }

  # All functions that draw on one rate share it: at full scale, this many instances.
  instances_by_rate = {
    for name in keys(local.topology.rates) : name => sum([
      for function in distinct([for topic in values(local.topology.topics) : topic.function if topic.rate == name]) :
      local.functions[function].max_instances
    ])
  }

  # So even when every instance runs, together they stay within the account's rate. Cut to 4 decimals, never rounded up.
  instance_rates = {
    for name, rate in local.account_rates : name => floor(rate / local.instances_by_rate[name] * 10000) / 10000
  }
}
