"""Runs pytest once per connection in a forked child, so that the imports of third-party packages are paid for once.

``python -m tests.mutants.fork_server SOCKET ARGUMENTS…`` listens; ``python -S fork_server.py ask SOCKET`` has one run
made and exits with its status. A client that goes away, as after a timeout, ends its run.
"""

import itertools
import os
import select
import signal
import socket
import sys
from pathlib import Path

# Nothing of the product or its tests: those are read anew in each child, with the fault that is planted now.
_PRELOADED = (
    "aiohttp",
    "aiohttp.web",
    "hypothesis",
    "hypothesis.stateful",
    "httpx",
    "msgspec",
    "pytest",
)


def serve(path: str, arguments: list[str]) -> None:
    """Answer connections for ever, one after the other, each with one byte: the exit status of pytest."""
    for name in (*_PRELOADED, "pytest_asyncio.plugin", "_hypothesis_pytestplugin"):
        __import__(name)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{path}.new")
        listener.listen()
        Path(f"{path}.new").rename(path)  # there is a socket of this name only once it takes connections
        for number in itertools.count():
            # The first run has no fault and leaves the compiled tests behind. Later ones must not: a fault that is as
            # long as the one before it, planted in the same second, would not be read.
            sys.dont_write_bytecode = number > 0
            client, _ = listener.accept()
            with client:
                status = _run(client, arguments)
                try:
                    client.send(bytes([status]))
                except OSError:
                    continue  # it went away


def _run(client: socket.socket, arguments: list[str]) -> int:
    child = os.fork()
    if child == 0:
        _be_child(arguments)
    watched = os.pidfd_open(child)
    try:
        ready, _, _ = select.select([watched, client], [], [])
        if watched not in ready:
            os.killpg(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    finally:
        os.close(watched)
    return os.waitstatus_to_exitcode(status) & 0xFF


def _be_child(arguments: list[str]) -> None:
    os.setsid()
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    status = 1
    try:
        import pytest  # noqa: PLC0415 - loaded already

        status = int(pytest.main(arguments))
    except BaseException:  # noqa: BLE001 - a child must not go on as the server
        status = 1
    os._exit(status)


def ask(path: str) -> int:
    """Have one run made and return its exit status."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        answer = server.recv(1)
    return answer[0] if answer else 1


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        sys.exit(ask(sys.argv[2]))
    serve(sys.argv[1], sys.argv[2:])
