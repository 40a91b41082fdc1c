"""Pub/Sub on one machine: the official google-cloud-pubsub clients use it through ``PUBSUB_EMULATOR_HOST``.

``python -m local.broker --port 8085`` runs it; ``async with Broker() as broker`` embeds it. Nothing is written to disk.
"""

from local.broker.broker import Broker

__all__ = ["Broker"]
