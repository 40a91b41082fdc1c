"""Customer.io on one machine: the Track and App APIs with their published rules, faults on demand, signed webhooks."""

from local.customerio.server import Credentials, Simulator
from local.customerio.webhooks import Patience, Target

__all__ = ["Credentials", "Patience", "Simulator", "Target"]
