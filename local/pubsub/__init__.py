"""Pub/Sub on one machine: the official google-cloud-pubsub clients use it through ``PUBSUB_EMULATOR_HOST``.

``python -m local.pubsub --port 8085`` runs it; ``async with Broker() as broker`` embeds it. Nothing is written to disk.

Not offered, and answered UNIMPLEMENTED: schemas, snapshots, DetachSubscription, IAM, exactly-once delivery, push
without wrapper, message transforms, subscriptions that write to BigQuery, Cloud Storage or Bigtable.

Kept and shown, but without effect: a push's OIDC token (no Authorization header is sent), expiration policy, KMS key,
message storage policy. A topic's retention reaches back to messages its subscriptions had, not to those before them.
"""

from local.pubsub.broker import Broker

__all__ = ["Broker"]
