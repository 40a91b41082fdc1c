from typing import TYPE_CHECKING

from shared.secrets import SecretUnavailableError

if TYPE_CHECKING:
    import asyncio


class FakeSecret:
    """A secret whose versions can be changed, that can be slow, and that counts its reads."""

    def __init__(self, *values: str) -> None:
        self.current = values
        self.reads = 0
        self.slow: asyncio.Event | None = None

    async def values(self) -> tuple[str, ...]:
        self.reads += 1
        if self.slow is not None:
            await self.slow.wait()
        if not self.current:
            raise SecretUnavailableError
        return self.current

    async def refresh(self) -> None:
        return None


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now
