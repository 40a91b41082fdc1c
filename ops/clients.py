"""Google's clients, created when a command needs one: importing them takes a second that ``--help`` should not.

A client of Pub/Sub is returned once it is connected, so that an outage is one sentence after a few seconds.
"""

import queue
import time
from typing import TYPE_CHECKING, Any

from ops import deadlines
from ops.errors import UnreachableError
from ops.target import Target

if TYPE_CHECKING:
    import grpc
    from google.api_core.retry import Retry
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud.bigquery import Client as BigQueryClient
    from google.cloud.secretmanager import SecretManagerServiceClient
    from google.pubsub_v1 import PublisherClient, SubscriberClient


def publisher(target: Target) -> "PublisherClient":
    """Create a Pub/Sub publisher without the batching of ``google.cloud.pubsub``.

    A call returns when its messages are confirmed, and an attribute may have any name.

    Raises:
        UnreachableError: if Pub/Sub does not answer.
    """
    from google.pubsub_v1 import PublisherClient  # noqa: PLC0415
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport  # noqa: PLC0415

    if host := target.pubsub_emulator:
        client = PublisherClient(transport=PublisherGrpcTransport(channel=_plain_channel(host)))
    else:
        client = PublisherClient()
    _connect(client, target)
    return client


def subscriber(target: Target) -> "SubscriberClient":
    """Create a Pub/Sub subscriber without streaming, which pulls and acknowledges exactly what it is asked for.

    Raises:
        UnreachableError: if Pub/Sub does not answer.
    """
    from google.pubsub_v1 import SubscriberClient  # noqa: PLC0415
    from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport  # noqa: PLC0415

    if host := target.pubsub_emulator:
        client = SubscriberClient(transport=SubscriberGrpcTransport(channel=_plain_channel(host)))
    else:
        client = SubscriberClient()
    _connect(client, target)
    return client


def pubsub_unreachable(target: Target) -> UnreachableError:
    """Describe a Pub/Sub that does not answer, or stopped answering."""
    if host := target.pubsub_emulator:
        return UnreachableError(
            f"Pub/Sub at {host} does not answer: start the local stack with `make run`, or unset PUBSUB_EMULATOR_HOST "
            "and give --project for the cloud."
        )
    return UnreachableError("Pub/Sub at pubsub.googleapis.com does not answer: check the network and its proxy.")


def secret_manager() -> "SecretManagerServiceClient":
    from google.cloud.secretmanager import SecretManagerServiceClient  # noqa: PLC0415

    return SecretManagerServiceClient()


def bigquery(target: Target) -> "BigQueryClient":
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415
    from google.cloud.bigquery import Client  # noqa: PLC0415

    # The client finds the emulator by this variable too, and would still look for credentials.
    emulated = bool(target.environment.get("BIGQUERY_EMULATOR_HOST"))
    credentials = AnonymousCredentials() if emulated else None  # type: ignore[no-untyped-call]
    return Client(project=target.project, credentials=credentials)


def monitoring() -> "AuthorizedSession":
    """Create an HTTP session that may read Cloud Monitoring with the operator's credentials."""
    import google.auth  # noqa: PLC0415
    from google.auth.transport.requests import AuthorizedSession  # noqa: PLC0415

    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/monitoring.read"])
    return AuthorizedSession(credentials)  # type: ignore[no-untyped-call]


def short_retry() -> "Retry":
    """Create the retry policy of calls to Pub/Sub. Google's own would go on silently for a minute or more."""
    from google.api_core.exceptions import Aborted, ServiceUnavailable  # noqa: PLC0415
    from google.api_core.retry import Retry, if_exception_type  # noqa: PLC0415

    return Retry(
        if_exception_type(Aborted, ServiceUnavailable),
        initial=deadlines.RETRY_MIN_SECONDS,
        maximum=deadlines.RETRY_MAX_SECONDS,
        timeout=deadlines.RETRY_SECONDS,
    )


def _connect(client: Any, target: Target) -> None:
    import grpc  # noqa: PLC0415

    channel: grpc.Channel = client.transport.grpc_channel
    states: queue.SimpleQueue[grpc.ChannelConnectivity] = queue.SimpleQueue()
    channel.subscribe(states.put, try_to_connect=True)
    # A refused connection is final for a local Pub/Sub. Google's addresses deserve a second try.
    final = {grpc.ChannelConnectivity.TRANSIENT_FAILURE} if target.is_local else set()
    until = time.monotonic() + deadlines.CONNECT_SECONDS
    try:
        while (state := states.get(timeout=max(0.0, until - time.monotonic()))) not in final:
            if state is grpc.ChannelConnectivity.READY:
                return
    except queue.Empty:
        pass
    finally:
        channel.unsubscribe(states.put)
    client.transport.close()
    raise pubsub_unreachable(target)


def _plain_channel(host: str) -> "grpc.Channel":
    """Open a channel to an emulator. Google's default limits an answer to 4 MB, less than one pull may bring."""
    import grpc  # noqa: PLC0415

    return grpc.insecure_channel(host, options=[("grpc.max_receive_message_length", -1)])
