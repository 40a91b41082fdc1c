"""Pub/Sub on one machine: Google's client libraries use it through ``PUBSUB_EMULATOR_HOST``, gcloud and curl by REST.

``python -m local.pubsub --port 8085`` runs it; ``async with Broker() as broker`` embeds it. Nothing is written to disk.
docs/local-stack.md lists what it does not do.
"""

from local.pubsub.broker import Broker

__all__ = ["Broker"]
