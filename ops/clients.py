"""Google's clients, made when a command needs one: their imports take a second that ``--help`` should not."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import grpc
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud.bigquery import Client as BigQueryClient
    from google.cloud.secretmanager import SecretManagerServiceClient
    from google.pubsub_v1 import PublisherClient, SubscriberClient


def publisher() -> "PublisherClient":
    """Pub/Sub's publisher without the batching of ``google.cloud.pubsub``.

    A call returns when its messages are confirmed, and an attribute may have any name.
    """
    from google.pubsub_v1 import PublisherClient  # noqa: PLC0415
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport  # noqa: PLC0415

    if host := os.environ.get("PUBSUB_EMULATOR_HOST"):
        return PublisherClient(transport=PublisherGrpcTransport(channel=_plain_channel(host)))
    return PublisherClient()


def subscriber() -> "SubscriberClient":
    """Pub/Sub's subscriber without streaming: what is pulled, held and acknowledged is exactly what is asked for."""
    from google.pubsub_v1 import SubscriberClient  # noqa: PLC0415
    from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport  # noqa: PLC0415

    if host := os.environ.get("PUBSUB_EMULATOR_HOST"):
        return SubscriberClient(transport=SubscriberGrpcTransport(channel=_plain_channel(host)))
    return SubscriberClient()


def secret_manager() -> "SecretManagerServiceClient":
    from google.cloud.secretmanager import SecretManagerServiceClient  # noqa: PLC0415

    return SecretManagerServiceClient()


def bigquery(project: str) -> "BigQueryClient":
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415
    from google.cloud.bigquery import Client  # noqa: PLC0415

    # The client takes the emulator's address from the variable by itself, and would still look for credentials.
    emulated = bool(os.environ.get("BIGQUERY_EMULATOR_HOST"))
    return Client(project=project, credentials=AnonymousCredentials() if emulated else None)  # type: ignore[no-untyped-call]


def monitoring() -> "AuthorizedSession":
    """An HTTP session that may read Cloud Monitoring, as the operator."""
    import google.auth  # noqa: PLC0415
    from google.auth.transport.requests import AuthorizedSession  # noqa: PLC0415

    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/monitoring.read"])
    return AuthorizedSession(credentials)  # type: ignore[no-untyped-call]


def _plain_channel(host: str) -> "grpc.Channel":
    """To an emulator. Google's own choice for one takes 4 MB an answer, less than a pull may bring."""
    import grpc  # noqa: PLC0415

    return grpc.insecure_channel(host, options=[("grpc.max_receive_message_length", -1)])
