"""The handle that every call of the publisher returns."""

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any


class JobFuture:
    """A job on its way to Pub/Sub.

    A thread asks for ``result()``; a coroutine awaits the object itself, which does not block the event loop. Neither
    is needed: the job leaves anyway, and a failure that nobody asks for is logged.

    Attributes:
        kind: ``identify``, ``track``, ``send``, ``broadcast`` or ``sync``.
        job_id: The job's id, by which dead letters and ``python -m ops`` know it.
        asked: Whether somebody asked for the outcome, so that a failure need not be reported at exit.
    """

    __slots__ = ("_future", "asked", "job_id", "kind")

    def __init__(self, kind: str, job_id: str, future: "Future[str]") -> None:
        self.kind = kind
        self.job_id = job_id
        self._future = future
        self.asked = False

    def done(self) -> bool:
        """Say whether the job is on its topic or has failed."""
        return self._future.done()

    def result(self, timeout: float | None = None) -> str:
        """Wait until the job is on its topic, and return Pub/Sub's message id.

        Args:
            timeout: Seconds to wait. None waits as long as Pub/Sub is unreachable.

        Raises:
            TimeoutError: if the job still waits. It is not given up.
            google.api_core.exceptions.GoogleAPICallError: if Pub/Sub refused the job.
        """
        error = self.exception(timeout)
        if error is not None:
            raise error
        return self._future.result()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait like ``result()``, and return the error instead of raising it; None once the job is on its topic."""
        error = self._future.exception(timeout)
        self.asked = True
        return error

    def add_done_callback(self, callback: "Callable[[JobFuture], Any]") -> None:
        """Call ``callback`` with this object once the job is on its topic or has failed.

        It runs on a thread of the Pub/Sub client, which may hold the client's locks: hand the job on, publish nothing.
        """
        self.asked = True
        self._future.add_done_callback(lambda _: callback(self))

    def __await__(self) -> Generator[Any, None, str]:
        try:
            return (yield from asyncio.wrap_future(self._future).__await__())
        finally:
            self.asked = self.asked or self._future.done()

    def replace(self, future: "Future[str]") -> None:
        """Take the outcome from another future: after a fork this one is never settled."""
        self._future = future

    def __repr__(self) -> str:
        return f"<JobFuture {self.kind} {self.job_id} {'done' if self.done() else 'pending'}>"
