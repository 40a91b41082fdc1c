"""One child process: started, waited for until it answers, watched, stopped."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from local.stack.ports import HOST

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.05


class PartFailedError(Exception):
    """A part ended, or did not answer in time. The text says which log to read."""


@dataclass(frozen=True, slots=True)
class Part:
    """What to run and how to tell that it is up.

    Args:
        name: as people see it.
        command: argument list.
        port: where it will listen.
        environment: added to ours.
        asks: path that must answer below 500; None when an open port is enough.
    """

    name: str
    command: Sequence[str]
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)
    asks: str | None = None


class Running:
    """A part that was started."""

    def __init__(self, part: Part, log: Path) -> None:
        self.part = part
        self.log = log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Start it; its output goes to the log."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.part.command,
                env={**os.environ, **self.part.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A Ctrl-C is for the stack alone, which stops its parts in order.
                start_new_session=True,
            )

    async def ready(self) -> None:
        """Return when it answers.

        Raises:
            PartFailedError: it ended, or did not answer in a minute.
        """
        deadline = asyncio.get_running_loop().time() + _START_SECONDS
        while not await self._answers():
            if self._process is not None and self._process.returncode is not None:
                ended = f"ended with status {self._process.returncode}"
                raise self.failure(ended)
            if asyncio.get_running_loop().time() > deadline:
                silent = f"does not answer on port {self.part.port}"
                raise self.failure(silent)
            await asyncio.sleep(_POLL_SECONDS)

    async def ended(self) -> int:
        """Wait until it ends and return its status."""
        if self._process is None:
            return 0
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask it to end, and end it when it does not."""
        if self._process is None or self._process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    def failure(self, what: str) -> PartFailedError:
        tail = self.log.read_text(errors="replace").splitlines()[-5:] if self.log.exists() else []
        return PartFailedError(
            "\n".join([f"{self.part.name} {what}; read {self.log}", *(f"    {line}" for line in tail)])
        )

    async def _answers(self) -> bool:
        try:
            if self.part.asks is None:
                _, writer = await asyncio.open_connection(HOST, self.part.port)
                writer.close()
                return True
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://{HOST}:{self.part.port}{self.part.asks}") as response,
            ):
                return response.status < 500
        except (OSError, aiohttp.ClientError):
            return False
