from typing import TYPE_CHECKING

from shared.secrets import NoEnabledVersionError, SecretUnavailableError

if TYPE_CHECKING:
    import asyncio


class FakeSecret:
    """A secret whose versions can be changed, seen after a refresh; it can be slow or down, and counts its reads."""

    def __init__(self, *values: str) -> None:
        self.current = values
        self.reads = 0
        self.refreshed = 0
        self.down = False
        self.slow: asyncio.Event | None = None
        self._read: tuple[str, ...] = ()

    async def values(self) -> tuple[str, ...]:
        self.reads += 1
        if self.slow is not None:
            await self.slow.wait()
        if not self._read:
            self._read = self.current
        if self.down:
            raise SecretUnavailableError
        if not self._read:
            raise NoEnabledVersionError
        return self._read

    async def refresh(self) -> None:
        self.refreshed += 1
        self._read = ()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now
