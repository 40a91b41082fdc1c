"""All parts together: started in the order in which they need each other, watched, stopped in the opposite order."""

import asyncio
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from local import bigquery
from local.stack.errors import StackError
from local.stack.folder import StackFolder
from local.stack.options import Options
from local.stack.parts import DUCKDB_HOME, Plan, console, endpoint, plan
from local.stack.ports import HOST
from local.stack.process import Part, PartFailedError, Running, how_it_ended
from local.stack.provision import provision
from local.stack.threads import in_daemon_thread
from local.stack.ticker import tick_forever

Say = Callable[[str], None]


class Stack:
    """The product on one machine. Every start begins with empty data: people, messages, ledger and BigQuery alike.

    Args:
        directory: Folder for data, logs and ``stack.env``.
        given: The user's environment. What it names (emulators, Customer.io) is used instead of the stack's own part.
        options: Time scale, ports, and how fast simulated people react.
        say: Called with one line per part and event.
    """

    def __init__(
        self,
        directory: Path,
        *,
        given: Mapping[str, str] | None = None,
        options: Options = Options(),  # noqa: B008 - frozen
        say: Say = print,
    ) -> None:
        self._folder = StackFolder(directory.resolve())
        self._given = os.environ if given is None else given
        self._options = options
        self._say = say
        self._running: dict[str, Running] = {}
        self._watchers: list[asyncio.Task[None]] = []
        self._plan: Plan | None = None
        self._failed: asyncio.Future[None] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables of ``stack.env``, which point another process at this stack.

        Raises:
            StackError: if the stack has not started.
        """
        if self._plan is None:
            raise StackError("The stack has not started.")
        pids = " ".join(f"{name}={running.pid}" for name, running in self._running.items())
        return {**self._plan.environment, "STACK_PIDS": pids}

    @property
    def logs(self) -> Path:
        """Folder of the log files, one per part."""
        return self._folder.logs

    async def failed(self) -> None:
        """Wait for as long as all is well.

        Raises:
            StackError: if a part ended that is not started again.
        """
        if self._failed is not None:
            await asyncio.shield(self._failed)

    async def __aenter__(self) -> Self:
        self._failed = asyncio.get_running_loop().create_future()
        self._folder.lock()
        try:
            self._folder.make_empty()
            self._say("starting, with empty data")
            self._plan = plan(self._given, self._folder.data, self._options)
            await self._start(self._plan)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _start(self, stack: Plan) -> None:
        try:
            await in_daemon_thread(lambda: bigquery.prepare(DUCKDB_HOME))
        except bigquery.BigQueryError as error:
            raise StackError(str(error)) from None
        for name, where in stack.external.items():
            self._say(f"{name:<12} {where}")
        for note in stack.notes:
            self._say(f"{'note':<12} {note}")
        page = console(stack)
        parts = [*stack.services, *stack.functions, page]
        self._running = {part.name: Running(part, self._folder.logs / f"{part.name}.log") for part in parts}
        for running in self._running.values():
            await running.start()
        await self._all_ready(stack.services)
        await in_daemon_thread(lambda: self._create_resources(stack))
        await self._all_ready(stack.functions)
        console_answers = await self._optional_ready(self._running[page.name])
        self._write_environment()
        services = {part.name for part in stack.services}
        self._watchers = [
            asyncio.create_task(self._watch(self._running[part.name], restart=part.name not in services))
            for part in (*stack.services, *stack.functions)
        ]
        has_bells = "pubsub" not in stack.external
        ticker = tick_forever(stack.environment, self._options.time_scale, with_bells=has_bells)
        self._watchers.append(asyncio.create_task(ticker))
        if console_answers:
            self._watchers.append(asyncio.create_task(self._watch_optional(self._running[page.name])))

    def _create_resources(self, stack: Plan) -> None:
        environment = stack.environment
        project = environment["GOOGLE_CLOUD_PROJECT"]
        # Google's Pub/Sub clients find an emulator by this variable alone.
        os.environ["PUBSUB_EMULATOR_HOST"] = environment["PUBSUB_EMULATOR_HOST"]
        endpoints = {part.name: endpoint(part.port) for part in stack.functions}
        emulator = "pubsub" in stack.external
        provision(project, endpoints, emulator=emulator, backoff_scale=self._options.time_scale if emulator else 1.0)
        with closing(bigquery.client(environment["BIGQUERY_EMULATOR_HOST"], project)) as client:
            bigquery.create_tables(client, environment["BIGQUERY_DATASET"])

    async def _all_ready(self, parts: Sequence[Part]) -> None:
        await asyncio.gather(*(self._report(self._running[part.name]) for part in parts))

    async def _report(self, running: Running) -> None:
        await running.ready()
        self._say(f"{running.part.name:<12} ready on {HOST}:{running.part.port}")

    async def _watch(self, running: Running, *, restart: bool) -> None:
        while True:
            status = await running.ended()
            if not restart:
                error = await running.failure(status)
                if self._failed is not None and not self._failed.done():
                    self._failed.set_exception(error)
                return
            self._say(f"{running.part.name:<12} {how_it_ended(status)}; starting it again")
            await running.start()
            self._write_environment()
            with suppress(PartFailedError):  # it ended again, and the next round says so
                await self._report(running)

    async def _optional_ready(self, running: Running) -> bool:
        """Wait for a part that nothing else needs. One that does not answer is reported, and left alone."""
        try:
            await self._report(running)
        except PartFailedError as error:
            self._say(f"{error}. Everything else works without it.")
            return False
        return True

    async def _watch_optional(self, running: Running) -> None:
        """Start a part again when it ends, for as long as each start succeeds."""
        answers = True
        while answers:
            status = await running.ended()
            self._say(f"{running.part.name:<12} {how_it_ended(status)}; starting it again")
            await running.start()
            self._write_environment()
            answers = await self._optional_ready(running)

    def _write_environment(self) -> None:
        lines = [f"{name}={shlex.quote(value)}\n" for name, value in self.environment.items()]
        self._folder.write_env("".join(lines))

    async def _stop(self) -> None:
        self._folder.remove_env()
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        services = {part.name for part in self._plan.services} if self._plan else set()
        # What sends requests goes first, so that nothing new reaches a function that is ending.
        senders = [running for name, running in self._running.items() if name in {"pubsub", "customer.io"}]
        functions = [running for name, running in self._running.items() if name not in services]
        for group in (senders, functions, list(self._running.values())):
            await asyncio.gather(*(running.stop() for running in group))
        self._folder.unlock()
