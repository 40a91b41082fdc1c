"""A function under the real functions-framework, on a free port, as a process of its own."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
_UP_SECONDS = 120.0


@dataclass(frozen=True)
class RunningFunction:
    url: str
    port: int
    log: Path
    process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        return self.process.pid

    async def exited(self) -> int:
        return await self.process.wait()

    def connections(self) -> int:
        """Connections that callers hold open to the function."""
        server = psutil.Process(self.process.pid)
        found = {c for each in (server, *server.children()) for c in each.net_connections("tcp")}
        return len({c.raddr for c in found if c.laddr.port == self.port and c.status == psutil.CONN_ESTABLISHED})

    def json_lines(self) -> list[str]:
        return [line for line in self.lines() if line.startswith("{")]

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@asynccontextmanager
async def running_function(
    name: str, environment: Mapping[str, str], log: Path, *, root: Path = ROOT
) -> AsyncIterator[RunningFunction]:
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("functions-framework")),
        "--asgi",
        *("--target", name),
        *("--source", str(root / "functions" / name / "main.py")),
        *("--host", "127.0.0.1"),
        *("--port", str(port)),
    ]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=os.environ | {"PYTHONPATH": str(root)} | dict(environment),
            stdout=output,
            stderr=output,
            start_new_session=True,  # gunicorn and its worker end together
        )
    try:
        await accepts_connections(port, process, log)
        yield RunningFunction(f"http://127.0.0.1:{port}", port, log, process)
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def accepts_connections(port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(_UP_SECONDS):
        while True:
            assert process.returncode is None, f"see {log}"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
