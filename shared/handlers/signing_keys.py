"""The webhook's signing keys: kept, and read again when a signature does not verify, within limits.

Whether a signature verifies is decided by whoever calls, so an unauthenticated caller decides when keys are looked for:
that costs Secret Manager one read in some seconds and no more, whatever is sent.
"""

import asyncio
import time
from collections.abc import Callable

from .. import deadlines
from ..secrets import NoEnabledVersionError, Secret, SecretUnavailableError


class SigningKeys:
    """Every enabled version of the secret.

    Args:
        secret: The secret that holds them.
        now: A monotonic clock in seconds.
    """

    def __init__(self, secret: Secret, *, now: Callable[[], float] = time.monotonic) -> None:
        self._secret = secret
        self._now = now
        self._keys: tuple[str, ...] = ()
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def kept(self) -> tuple[str, ...]:
        """The keys as they are known. Old ones are read again first, unless that takes a moment too long.

        Cloud Run gives an instance no CPU between two requests, so a read in the background alone might never end.

        Raises:
            SecretUnavailableError: if none were ever read, or none is enabled.
        """
        if self._now() - self._read_at >= deadlines.SIGNING_KEY_KEPT_SECONDS:
            self._read_soon()
        if not self._keys:
            return await self.newest()
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=deadlines.SIGNING_KEY_WAIT_SECONDS)
        return self._checked()

    async def newest(self) -> tuple[str, ...]:
        """The keys after reading them anew, or as they are where that was done within 5 s.

        Raises:
            SecretUnavailableError: if none were ever read, or none is enabled.
        """
        if self._now() - self._read_at >= deadlines.SIGNING_KEY_REFRESH_SECONDS:
            self._read_soon()
        if self._reading is not None:
            await asyncio.shield(self._reading)
        return self._checked()

    def _checked(self) -> tuple[str, ...]:
        if not self._keys:
            raise SecretUnavailableError("no signing key is known")
        return self._keys

    def _read_soon(self) -> None:
        if self._reading is None:
            self._read_at = self._now()
            self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            await self._secret.refresh()
            self._keys = await self._secret.values()
        except NoEnabledVersionError:
            self._keys = ()  # somebody disabled them, and meant it
        except SecretUnavailableError:
            pass  # the known keys stay; with none known, each caller is told
        finally:
            self._reading = None
