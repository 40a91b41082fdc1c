"""Secrets by name: from Secret Manager in the cloud, from environment variables on one machine.

Values are kept for minutes and read anew at once when one was refused, so a rotation needs no redeploy.
https://cloud.google.com/secret-manager/docs/reference/rpc
"""

import asyncio
import time
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from . import deadlines
from .settings import SecretSource

if TYPE_CHECKING:
    from google.cloud.secretmanager import SecretManagerServiceClient

# A rotation leaves two versions enabled for a while; more than a few is a mistake, and each costs a call.
_MAX_VERSIONS = 5


class SecretUnavailableError(Exception):
    """Secret Manager did not give the secret. Holds its name, not its value."""


class NoEnabledVersionError(SecretUnavailableError):
    """Secret Manager answered, and no version of the secret is enabled: none of the values known before counts."""


class Secret(Protocol):
    """One secret and its enabled versions."""

    async def values(self) -> tuple[str, ...]:
        """Values of the enabled versions, newest first; at least one.

        Raises:
            SecretUnavailableError: if Secret Manager did not answer and no value is known from before.
            NoEnabledVersionError: if no version is enabled.
        """

    async def refresh(self) -> None:
        """Forget what is kept, unless it was read seconds ago: the next ``values`` reads anew."""


def open_secret(source: SecretSource) -> Secret:
    """The secret at ``source``; nothing is read before the first call."""
    return EnvironmentSecret(source.value) if source.value else SecretManagerSecret(source.name)


class EnvironmentSecret:
    """A secret given as text: fixed for the life of the process."""

    def __init__(self, text: str) -> None:
        self._values = tuple(part.strip() for part in text.split(",") if part.strip())

    async def values(self) -> tuple[str, ...]:
        return self._values

    async def refresh(self) -> None:
        return None


class SecretManagerSecret:
    """A secret in Secret Manager, read by the official client in a thread.

    Args:
        name: ``projects/P/secrets/S``.
        client: Makes the client; given by tests.
        now: A monotonic clock in seconds.
    """

    def __init__(
        self,
        name: str,
        *,
        client: "Callable[[], SecretManagerServiceClient] | None" = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._new_client = client or _new_client
        self._now = now
        self._client: SecretManagerServiceClient | None = None
        self._kept: tuple[str, ...] = ()
        self._problem = SecretUnavailableError(f"{name}: was not read yet")
        self._known_until = 0.0
        self._read_at = -deadlines.SECRET_REFRESH_SECONDS
        self._reading = asyncio.Lock()

    async def values(self) -> tuple[str, ...]:
        if self._now() >= self._known_until:
            async with self._reading:  # one reader for all that wait, and they share what it finds, a failure too
                if self._now() >= self._known_until:
                    await self._read()
        if not self._kept:
            raise self._problem.with_traceback(None)
        return self._kept

    async def refresh(self) -> None:
        if self._now() - self._read_at >= deadlines.SECRET_REFRESH_SECONDS:
            self._known_until = 0.0

    async def _read(self) -> None:
        kept_seconds = deadlines.SECRET_KEPT_SECONDS
        try:
            self._kept = await asyncio.to_thread(self._enabled_versions)
            advice = "has no enabled version; add one with `gcloud secrets versions add`"
            self._problem = NoEnabledVersionError(f"{self._name}: {advice}")
        except Exception as error:  # noqa: BLE001 - the client raises many kinds; each means the same here
            # The last known values beat none.
            self._problem = SecretUnavailableError(f"{self._name}: {type(error).__name__}")
            kept_seconds = deadlines.SECRET_REFRESH_SECONDS
        self._read_at = self._now()
        self._known_until = self._read_at + (kept_seconds if self._kept else deadlines.SECRET_REFRESH_SECONDS)

    def _enabled_versions(self) -> tuple[str, ...]:
        if self._client is None:
            self._client = self._new_client()
        ends_at = time.monotonic() + deadlines.SECRET_READ_SECONDS
        request = {"parent": self._name, "filter": "state:ENABLED", "page_size": _MAX_VERSIONS}
        listed = self._client.list_secret_versions(request=request, timeout=deadlines.SECRET_READ_SECONDS)
        return tuple(
            # Without the client's own retry, which goes on for a minute: longer than a push may take.
            self._client.access_secret_version(
                request={"name": version.name}, timeout=max(0.1, ends_at - time.monotonic()), retry=None
            )
            .payload.data.decode()
            .strip()
            for version in islice(listed, _MAX_VERSIONS)
        )


def _new_client() -> "SecretManagerServiceClient":
    # Imported here, in the reading thread: a function on one machine never needs it, and in the cloud it need not
    # delay the start.
    from google.cloud.secretmanager import SecretManagerServiceClient  # noqa: PLC0415

    return SecretManagerServiceClient()
