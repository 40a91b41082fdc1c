"""The stack's own reports: the broker's numbers, and what the simulator of Customer.io holds."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from local import deadlines

# People and deliveries that the page shows.
MAX_LISTED = 30
# The stack has 30 and the user's application a few. Pub/Sub's pages have 1,000 at most.
_MAX_SUBSCRIPTIONS = 1000


class SourceError(Exception):
    """A part of the stack did not answer. The text says which, for the page."""


class Sources:
    """HTTP access to the broker's and the simulator's admin surfaces.

    Args:
        environment: Variables of ``stack.env``. Without the stack's own broker or simulator there is nothing to read.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._broker = environment.get("PUBSUB_ADMIN_URL", "")
        self._simulator = environment.get("CUSTOMERIO_TRACK_URL", "")
        project = environment["GOOGLE_CLOUD_PROJECT"]
        self._subscriptions = f"http://{environment['PUBSUB_EMULATOR_HOST']}/v1/projects/{project}/subscriptions"
        self._client = httpx.AsyncClient(timeout=deadlines.CONSOLE_SOURCE_SECONDS, trust_env=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def broker_stats(self) -> Mapping[str, Any]:
        """Read backlog and counters of each topic and subscription.

        Raises:
            SourceError: if the broker does not answer.
        """
        stats: Mapping[str, Any] = await self._get("Pub/Sub", self._broker, "/_broker/stats")
        return stats

    async def subscriptions(self) -> Sequence[Mapping[str, Any]]:
        """List all subscriptions, in the form of Pub/Sub's REST surface.

        Raises:
            SourceError: if Pub/Sub does not answer.
        """
        answer = await self._get("Pub/Sub", self._subscriptions, f"?pageSize={_MAX_SUBSCRIPTIONS}")
        subscriptions: Sequence[Mapping[str, Any]] = answer.get("subscriptions", [])
        return subscriptions

    async def customerio_counts(self) -> Mapping[str, Any]:
        """Read the simulator's counters.

        Raises:
            SourceError: if the simulator does not answer.
        """
        counts: Mapping[str, Any] = await self._get("Customer.io's simulator", self._simulator, "/_sim/counts")
        return counts

    async def people(self) -> Sequence[Mapping[str, Any]]:
        """Read the latest people, newest first.

        Raises:
            SourceError: if the simulator does not answer.
        """
        return await self._latest("people")

    async def deliveries(self) -> Sequence[Mapping[str, Any]]:
        """Read the latest deliveries, newest first.

        Raises:
            SourceError: if the simulator does not answer.
        """
        return await self._latest("deliveries")

    async def faults(self) -> Sequence[Mapping[str, Any]]:
        """Read the faults that are active.

        Raises:
            SourceError: if the simulator does not answer.
        """
        faults: Sequence[Mapping[str, Any]] = await self._get(
            "Customer.io's simulator", self._simulator, "/_sim/faults"
        )
        return faults

    async def set_faults(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Replace the active faults.

        Raises:
            SourceError: if the simulator does not answer.
        """
        await self._call("PUT", "Customer.io's simulator", self._simulator, "/_sim/faults", json=list(faults))

    async def _latest(self, what: str) -> Sequence[Mapping[str, Any]]:
        path = f"/_sim/{what}?latest={MAX_LISTED}"
        listed: list[Mapping[str, Any]] = await self._get("Customer.io's simulator", self._simulator, path)
        return listed[::-1]

    async def _get(self, what: str, base: str, path: str) -> Any:
        return (await self._call("GET", what, base, path)).json()

    async def _call(self, method: str, what: str, base: str, path: str, **arguments: Any) -> httpx.Response:
        if not base:
            raise SourceError(f"{what} is not a part of this stack.")
        try:
            response = await self._client.request(method, base + path, **arguments)
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise SourceError(f"{what} does not answer ({type(error).__name__}).") from None
        return response
