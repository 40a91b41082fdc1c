"""What the ledger's tests share: a clock, stores to open ledgers on, Google's emulator and a bad line to it."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from unittest import mock

import grpc
from google.cloud.firestore import AsyncClient

from shared.ledger import AlreadyDone, Busy, Claimed, Conflict, Ledger, ProfileStates
from tests.function_process import accepts_connections, free_port

LEASE_SECONDS = 40.0
LEASE = timedelta(seconds=LEASE_SECONDS)

Answer = Claimed | AlreadyDone | Busy | Conflict


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, step: timedelta) -> None:
        self.time += step


class LedgerAndStates(Ledger, ProfileStates, Protocol):
    pass


@dataclass(frozen=True)
class Store:
    """One place that any number of ledgers are opened on.

    Args:
        clock: of all of them.
        open: another ledger on it.
        contents: all that is stored, as text.
    """

    clock: Clock
    open: Callable[[], LedgerAndStates]
    contents: Callable[[], Awaitable[str]]


def claimed(answer: Answer) -> Claimed:
    assert isinstance(answer, Claimed)
    return answer


def emulator_script() -> Path | None:
    """The start script of Google's emulator, where Cloud SDK installers put it."""
    gcloud = shutil.which("gcloud")
    roots = [
        *([Path(os.environ["CLOUDSDK_ROOT_DIR"])] if "CLOUDSDK_ROOT_DIR" in os.environ else []),
        *([Path(gcloud).resolve().parents[1]] if gcloud else []),
        *(Path(base) / "google-cloud-sdk" for base in ("/usr/lib", "/usr/local", "/usr/share", "/opt", Path.home())),
        Path("/opt/homebrew/share/google-cloud-sdk"),
        Path("/snap/google-cloud-sdk/current"),
    ]
    scripts = (root / "platform/cloud-firestore-emulator/cloud_firestore_emulator" for root in roots)
    return next((script for script in scripts if script.is_file()), None)


@asynccontextmanager
async def emulator_process(script: Path, log: Path) -> AsyncIterator[str]:
    """Google's emulator on a free port, as HOST:PORT."""
    port = free_port()
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            str(script),
            "start",
            "--host=127.0.0.1",
            f"--port={port}",
            stdout=output,
            stderr=output,
            start_new_session=True,  # the script and its Java end together
        )
    try:
        await accepts_connections(port, process, log)
        host = f"127.0.0.1:{port}"
        # Its first call loads most of its classes, which on a busy machine takes longer than the ledger waits.
        async with client_of(host) as client:
            await client.collection("warm").document("up").set({"up": True}, timeout=30)
        yield host
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@asynccontextmanager
async def client_of(host: str) -> AsyncIterator[AsyncClient]:
    with mock.patch.dict(os.environ, {"FIRESTORE_EMULATOR_HOST": host}):
        client = AsyncClient(project="demo-project")
    try:
        yield client
    finally:
        await client._firestore_api.transport.close()


@dataclass
class BadLine:
    """A proxy before Firestore.

    Args:
        address: HOST:PORT to connect to.
        lose: statuses for the answers of the next writes, which do arrive.
        refuse: statuses for the next calls, which do not arrive.
        silent: no call is answered, nor arrives.
    """

    address: str = ""
    lose: list[grpc.StatusCode] = field(default_factory=list)
    refuse: list[grpc.StatusCode] = field(default_factory=list)
    silent: bool = False

    async def before(self, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        if self.silent:
            await asyncio.Event().wait()
        if self.refuse:
            await context.abort(self.refuse.pop(0), "refused by the test")

    async def after_write(self, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        if self.lose:
            await context.abort(self.lose.pop(0), "lost by the test")


@asynccontextmanager
async def bad_line(host: str) -> AsyncIterator[BadLine]:
    """A line to the Firestore at ``host`` that carries the calls that the ledger makes."""
    line = BadLine()
    service = "google.firestore.v1.Firestore"
    async with grpc.aio.insecure_channel(host) as channel:
        forward_commit = channel.unary_unary(f"/{service}/Commit")
        forward_get = channel.unary_stream(f"/{service}/BatchGetDocuments")

        async def commit(request: bytes, context: Any) -> Any:
            await line.before(context)
            try:
                answer = await forward_commit(request, metadata=_routing(context))
            except grpc.aio.AioRpcError as error:
                await context.abort(error.code(), error.details())
            await line.after_write(context)
            return answer

        async def get(request: bytes, context: Any) -> AsyncIterator[Any]:
            await line.before(context)
            async for answer in forward_get(request, metadata=_routing(context)):
                yield answer

        handlers = {
            "Commit": grpc.unary_unary_rpc_method_handler(commit),
            "BatchGetDocuments": grpc.unary_stream_rpc_method_handler(get),
        }
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        line.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        try:
            yield line
        finally:
            await server.stop(None)


def _routing(context: Any) -> list[tuple[str, str]]:
    return [
        (name, value)
        for name, value in context.invocation_metadata()
        if name in {"authorization", "google-cloud-resource-prefix", "x-goog-request-params"}
    ]
