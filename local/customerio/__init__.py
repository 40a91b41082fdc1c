"""Customer.io on one machine: the Track and App APIs with their published rules, faults on demand, signed webhooks."""

from local.customerio.gateway import Credentials
from local.customerio.rates import Rates
from local.customerio.server import Simulator
from local.customerio.webhooks import RetryPolicy, Target
from local.customerio.workspace import Timing

__all__ = ["Credentials", "Rates", "RetryPolicy", "Simulator", "Target", "Timing"]
