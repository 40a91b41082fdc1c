"""The fate of waiting jobs when the process ends: at exit, on SIGTERM, and after a fork.

At exit every open publisher is flushed within its time limit. Jobs that are lost are named on standard error, and the
process exits with status 1. SIGTERM without a handler ends a process before any exit hook; here it ends it as
``sys.exit(143)`` does. A handler of the application's own is left alone: it ends the process in its own way.
"""

import atexit
import multiprocessing.util
import os
import signal
import sys
import threading
from types import FrameType
from typing import Protocol

# The status that a shell reports for a process that SIGTERM ended.
_TERMINATED = 128 + signal.SIGTERM


class Open(Protocol):
    """A publisher that is not closed yet."""

    def flush_at_exit(self) -> str:
        """Flush within the time limit. Return a sentence about lost jobs that nobody was told of, or an empty text."""

    def restart_after_fork(self) -> None:
        """Forget the parent's jobs and locks, and connect anew."""


_open: set[Open] = set()


def watch(publisher: Open) -> None:
    """Flush ``publisher`` when the process ends."""
    _open.add(publisher)
    _handle_sigterm()


def forget(publisher: Open) -> None:
    """Leave ``publisher`` alone: it was closed."""
    _open.discard(publisher)


class _ExitStatus:
    """Ends the process with status 1 when its module is torn down.

    Python has no way to set the status from an exit hook, and ``os._exit`` in a hook would skip the hooks that are left
    (of logging, coverage, tracing). Modules are torn down after all hooks, and after standard output was flushed.
    """

    # Bound here: at that time this module's names may be gone.
    def __del__(self, exit_now=os._exit) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        exit_now(1)


_exit_status: _ExitStatus | None = None


def _flush_all() -> None:
    global _exit_status  # noqa: PLW0603 - it has to live as long as the module
    for publisher in _open.copy():
        if lost := publisher.flush_at_exit():
            print(f"customerio_jobs: {lost}", file=sys.stderr)  # noqa: T201
            sys.stderr.flush()
            _exit_status = _ExitStatus()
    _open.clear()


def _handle_sigterm() -> None:
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    # A second SIGTERM ends the process at once. Raised, and not flushed here: the main thread may hold a lock of the
    # client's at this moment, and has to leave it first.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.exit(_TERMINATED)


def _restart_after_fork() -> None:
    for publisher in _open.copy():
        publisher.restart_after_fork()


def _flush_at_end_of_process(_: object) -> None:
    multiprocessing.util.Finalize(None, _flush_all, exitpriority=0)


atexit.register(_flush_all)
# Before Python 3.13 a child of multiprocessing ends without atexit hooks, and runs multiprocessing's own instead.
multiprocessing.util.register_after_fork(_flush_all, _flush_at_end_of_process)
os.register_at_fork(after_in_child=_restart_after_fork)
