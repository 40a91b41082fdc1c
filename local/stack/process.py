"""One child process: started, waited for until it answers, watched, stopped."""

import asyncio
import os
import re
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from local import deadlines
from local.stack.errors import StackError
from local.stack.log import copy_with_times
from local.stack.ports import HOST

# The start of a line that copy_with_times wrote, and an access log's line, which says nothing about an end.
_TIME = re.compile(r"^\S+Z ")
_ACCESS_LINE = re.compile(r'"[A-Z]+ \S+ HTTP/')


class PartFailedError(StackError):
    """A part ended, or did not answer in time."""


@dataclass(frozen=True, slots=True)
class Part:
    """A process to run. It is up once its port is open.

    Args:
        name: Name for people and for the log file.
        command: Argument list.
        port: Port that it will listen on.
        environment: Variables added to this process's own.
    """

    name: str
    command: Sequence[str]
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)


class Running:
    """A part and its present process.

    Args:
        part: What to run.
        log: File that gets its output, each line with the time.
    """

    def __init__(self, part: Part, log: Path) -> None:
        self.part = part
        self.log = log
        self._process: asyncio.subprocess.Process | None = None
        self._copying: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Start the process. Its log file exists from then on, even while it says nothing."""
        self.log.touch()
        self._process = await asyncio.create_subprocess_exec(
            *self.part.command,
            env={**os.environ, **self.part.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # A Ctrl-C is for the stack alone, which stops its parts in order.
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._copying = asyncio.create_task(copy_with_times(self._process.stdout, self.log))

    async def ready(self) -> None:
        """Return once the process answers.

        Raises:
            PartFailedError: if it ends, or does not answer in a minute.
        """
        deadline = asyncio.get_running_loop().time() + deadlines.PART_START_SECONDS
        while not await self._answers():
            if self._process is not None and self._process.returncode is not None:
                raise await self.failure(self._process.returncode)
            if asyncio.get_running_loop().time() > deadline:
                raise PartFailedError(f"{self.part.name} does not answer on port {self.part.port}. Its log: {self.log}")
            await asyncio.sleep(deadlines.PART_POLL_SECONDS)

    async def ended(self) -> int:
        """Wait for the end of the process and return its status."""
        if self._process is None:
            return 0
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask the process to end, and kill it if it does not."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
            try:
                async with asyncio.timeout(deadlines.PART_STOP_SECONDS):
                    await self._process.wait()
            except TimeoutError:
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                await self._process.wait()
        await self._finish_log()

    async def failure(self, status: int) -> PartFailedError:
        """Why the process ended, as one sentence and the place of its log."""
        await self._finish_log()
        # A process that was killed had no chance to say why.
        reason = self._last_words() if status > 0 else ""
        return PartFailedError(f"{self.part.name} {how_it_ended(status)}{reason}. Its log: {self.log}")

    def _last_words(self) -> str:
        """The last line of the log that is not an access log's."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        said = (line for line in reversed(lines) if line.strip() and not _ACCESS_LINE.search(line))
        last = _TIME.sub("", next(said, "")).strip()
        return f' and last said "{last}"' if last else ""

    async def _finish_log(self) -> None:
        """Wait for the rest of the output. A grandchild that holds the pipe open is not waited for."""
        if self._copying is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(deadlines.LOG_END_SECONDS):
                    await self._copying

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(HOST, self.part.port)
        except OSError:
            return False
        writer.close()
        return True


def how_it_ended(status: int) -> str:
    """An exit status in words."""
    if status == -signal.SIGKILL:
        return "was killed (SIGKILL: by hand, or because memory ran out)"
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
