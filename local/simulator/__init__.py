"""Customer.io on one machine: the Track and App APIs with their published rules, faults on demand, signed webhooks."""

from local.simulator.server import Credentials, Simulator
from local.simulator.webhooks import Patience, Target

__all__ = ["Credentials", "Patience", "Simulator", "Target"]
