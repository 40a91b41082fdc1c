"""Probes: requests that change nothing and show whether Customer.io takes the real ones again.

A read would not do: a wrong path, a quota or a missing permission shows only where the real requests go. So a probe
posts to the same path, with a body that Customer.io has to refuse. Refused for its body, the request got past the key,
the account, the quota and the region.
"""

import asyncio
from collections.abc import Callable

from .. import deadlines
from .errors import CustomerIOError, RejectedError
from .http import Connection
from .responses import Answer, batch_error, request_error


class Probe:
    """One request, sent again at each call.

    Args:
        connection: Connection with the credentials of the real requests.
        path: Path of the real requests.
        body: Body that is refused with 400, 404 or 422.
        read: Reads an answer as it is read for the real requests.
    """

    def __init__(
        self,
        connection: Connection,
        path: str,
        body: bytes,
        read: Callable[[Answer], CustomerIOError | None],
    ) -> None:
        self._connection = connection
        self._path = path
        self._body = body
        self._read = read

    async def refusal(self) -> str:
        """Ask, and return the reason for which real requests would be turned away; empty if they would be taken."""
        # An answer that takes longer than this would be too late for most pushes, too.
        deadline = asyncio.get_running_loop().time() + deadlines.PROBE_SECONDS
        try:
            await self._connection.post(self._path, self._body, deadline=deadline, read=self._read)
        except RejectedError:
            return ""
        except CustomerIOError as error:
            return error.reason
        return ""


def track_probe(connection: Connection) -> Probe:
    """Post an empty batch, which Customer.io refuses."""
    return Probe(connection, "/api/v2/batch", b'{"batch":[]}', batch_error)


def send_probe(connection: Connection) -> Probe:
    """Post a send without a recipient and without a message."""
    return Probe(connection, "/v1/send/email", b"{}", request_error)


def broadcast_probe(connection: Connection) -> Probe:
    """Trigger a broadcast that cannot exist, with a body that is no object: never a real one, whatever it holds.

    Customer.io's own 404 explains itself in JSON, and an error page of a proxy does not.
    """
    return Probe(connection, "/v1/campaigns/0/triggers", b"[]", request_error)
