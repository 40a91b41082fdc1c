"""All parts together: started in the order in which they need each other, watched, stopped in the opposite one."""

import asyncio
import fcntl
import os
import shlex
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from local import bigquery
from local.stack.parts import DUCKDB_HOME, Plan, plan
from local.stack.ports import HOST
from local.stack.process import PartFailedError, Running
from local.stack.provision import provision

Say = Callable[[str], None]


class StackError(Exception):
    """The stack could not start, or a part that it cannot do without has ended."""


class Stack:
    """The product on one machine.

    Args:
        directory: for data, logs and ``stack.env``.
        given: the user's environment; what it names (emulators, Customer.io) is used instead of a part of ours.
        time_scale: divides Pub/Sub's backoffs and the pause between broadcasts, nothing else.
        say: gets one line per part and event.
    """

    def __init__(
        self, directory: Path, *, given: Mapping[str, str] | None = None, time_scale: float = 1.0, say: Say = print
    ) -> None:
        self.directory = directory.resolve()
        self._given = os.environ if given is None else given
        self._time_scale = time_scale
        self._say = say
        self._running: dict[str, Running] = {}
        self._watchers: list[asyncio.Task[None]] = []
        self._plan: Plan | None = None
        self._failed: asyncio.Future[None] | None = None
        self._lock: IO[str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The contract of ``stack.env``: what another process needs to use this stack."""
        if self._plan is None:
            msg = "the stack has not started"
            raise StackError(msg)
        pids = " ".join(f"{name}={running.pid}" for name, running in self._running.items())
        return {**self._plan.environment, "STACK_PIDS": pids}

    @property
    def env_file(self) -> Path:
        return self.directory / "stack.env"

    async def failed(self) -> None:
        """Wait for as long as all is well.

        Raises:
            StackError: a part ended that is not started again.
        """
        if self._failed is not None:
            await asyncio.shield(self._failed)

    async def __aenter__(self) -> Self:
        self._failed = asyncio.get_running_loop().create_future()
        (self.directory / "logs").mkdir(parents=True, exist_ok=True)
        self._lock_directory()
        for old in (self.directory / "logs").glob("*.log"):
            old.unlink()
        self._plan = plan(self._given, self.directory, self._time_scale)
        try:
            await self._start(self._plan)
        except BaseException as error:
            await self._stop()
            if isinstance(error, PartFailedError):
                raise StackError(str(error)) from None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    def _lock_directory(self) -> None:
        """Two stacks in one folder would take each other's files. The lock goes with the process, however it ends."""
        self._lock = (self.directory / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = f"a stack is already running in {self.directory}: use it, or stop it first"
            raise StackError(msg) from None

    async def _start(self, made: Plan) -> None:
        await asyncio.to_thread(bigquery.prepare, DUCKDB_HOME)
        for name, note in made.notes.items():
            self._say(f"{name:<12} {note}")
        parts = [*made.services, *made.functions]
        self._running = {part.name: Running(part, self.directory / "logs" / f"{part.name}.log") for part in parts}
        await asyncio.gather(*(running.start() for running in self._running.values()))
        await asyncio.gather(*(self._report(self._running[part.name]) for part in made.services))
        await asyncio.to_thread(self._make_resources, made)
        await asyncio.gather(*(self._report(self._running[part.name]) for part in made.functions))
        self._write_environment()
        services = {part.name for part in made.services}
        self._watchers = [
            asyncio.create_task(self._watch(running, restart=name not in services))
            for name, running in self._running.items()
        ]

    def _make_resources(self, made: Plan) -> None:
        environment = made.environment
        project = environment["GOOGLE_CLOUD_PROJECT"]
        # The official Pub/Sub clients find an emulator by this variable alone.
        os.environ["PUBSUB_EMULATOR_HOST"] = environment["PUBSUB_EMULATOR_HOST"]
        endpoints = {part.name: f"http://{HOST}:{part.port}/" for part in made.functions}
        emulator = "pubsub" in made.notes
        provision(project, endpoints, emulator=emulator, backoff_scale=self._time_scale if emulator else 1.0)
        with closing(bigquery.client(environment["BIGQUERY_EMULATOR_HOST"], project)) as client:
            bigquery.create_tables(client, environment["BIGQUERY_DATASET"])

    async def _report(self, running: Running) -> None:
        await running.ready()
        self._say(f"{running.part.name:<12} ready on {HOST}:{running.part.port}")

    async def _watch(self, running: Running, *, restart: bool) -> None:
        while True:
            status = await running.ended()
            if not restart:
                error = StackError(str(running.failure(f"ended with status {status}")))
                if self._failed is not None and not self._failed.done():
                    self._failed.set_exception(error)
                return
            self._say(f"{running.part.name:<12} ended with status {status}, starting it again")
            await running.start()
            self._write_environment()
            with suppress(PartFailedError):  # it ended again: the next round says so
                await self._report(running)

    def _write_environment(self) -> None:
        lines = [f"{name}={shlex.quote(value)}\n" for name, value in self.environment.items()]
        fresh = self.env_file.with_suffix(".new")
        fresh.write_text("".join(lines))
        fresh.replace(self.env_file)  # whoever reads it meanwhile sees the old one or the new one, whole

    async def _stop(self) -> None:
        self.env_file.unlink(missing_ok=True)
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        services = {part.name for part in self._plan.services} if self._plan else set()
        functions = [running for name, running in self._running.items() if name not in services]
        # What delivers goes first, so that nothing new reaches a function that is ending.
        await asyncio.gather(
            *(running.stop() for name, running in self._running.items() if name in {"pubsub", "customer.io"})
        )
        await asyncio.gather(*(running.stop() for running in functions))
        await asyncio.gather(*(running.stop() for running in self._running.values()))
        if self._lock is not None:
            self._lock.close()
