"""The jobs that wait for Pub/Sub, and those that it did not take."""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from ..deadlines import PUBLISHER_UNREACHABLE_SECONDS
from .failures import FailedJob, FailureLog, OnError, advice_for, logger, unreachable
from .job_future import JobFuture

# Enough to know at exit whether anybody asked; not one per job of an outage.
_MAX_REMEMBERED_FAILURES = 1000

Run = Callable[[Callable[[], None]], None]


class PendingJobs:
    """Keeps count of the jobs of one publisher until each is on its topic or its failure has been reported.

    Args:
        on_error: The application's callback for each failed job, or None.
        run: Runs a report elsewhere: a future's callbacks run under locks of Google's client, which an application's
            ``on_error`` that publishes would wait for.
    """

    def __init__(self, on_error: OnError | None, run: Run) -> None:
        self._log = FailureLog(on_error)
        self._handled = on_error is not None
        self._run = run
        self._changed = threading.Condition()
        self._waiting: dict[JobFuture, str] = {}
        self._failures: deque[JobFuture] = deque(maxlen=_MAX_REMEMBERED_FAILURES)
        self._last_settled = time.monotonic()
        self._warned = False
        self.failed = 0
        self.published = 0

    def add(self, job: JobFuture, future: "Future[str]", topic: str) -> None:
        """Watch a job until it is settled."""
        with self._changed:
            if not self._waiting:
                self._last_settled = time.monotonic()
            self._waiting[job] = topic
        future.add_done_callback(partial(self._settle, job, topic))
        self._warn_if_unreachable()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def flush(self, timeout: float | None) -> int:
        """Wait until no job waits.

        Args:
            timeout: Seconds; None waits as long as Pub/Sub is unreachable.

        Returns:
            How many jobs still wait.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while self._waiting:
                left = PUBLISHER_UNREACHABLE_SECONDS if deadline is None else deadline - time.monotonic()
                if left <= 0:
                    break
                # In slices, so that an unreachable Pub/Sub is reported while somebody waits for it.
                self._changed.wait(min(left, PUBLISHER_UNREACHABLE_SECONDS))
                self._warn_if_unreachable()
            return len(self._waiting)

    def untold(self) -> str:
        """Say what was lost, if jobs failed or wait and nobody asked or is told by ``on_error``; otherwise nothing."""
        waiting = len(self._waiting)
        untold = not self._handled and not all(job.asked for job in self._failures)
        if not waiting and not untold:
            return ""
        lost = self.failed + waiting
        return f"{lost} of {lost + self.published} jobs were not published: {self._log.first_advice}"

    def give_up(self) -> None:
        """Report every job that still waits. Some may reach their topic all the same."""
        for job, topic in self._waiting.copy().items():
            advice = unreachable(topic, self._silence())
            self._log.report(FailedJob(job.kind, job.job_id, advice, TimeoutError(advice)))

    def _settle(self, job: JobFuture, topic: str, future: "Future[str]") -> None:
        error = future.exception()
        if error is None:
            with self._changed:
                self.published += 1
                self._remove(job)
        else:
            self._run(partial(self._report, job, topic, error))

    def _report(self, job: JobFuture, topic: str, error: BaseException) -> None:
        try:
            self._log.report(FailedJob(job.kind, job.job_id, advice_for(error, topic), error))
        finally:
            with self._changed:
                self.failed += 1
                self._failures.append(job)
                self._remove(job)

    def _remove(self, job: JobFuture) -> None:
        self._waiting.pop(job, None)
        self._last_settled = time.monotonic()
        self._warned = False
        if not self._waiting:
            self._changed.notify_all()

    def _warn_if_unreachable(self) -> None:
        if self._warned or not self._waiting or self._silence() < PUBLISHER_UNREACHABLE_SECONDS:
            return
        self._warned = True
        logger.warning("%s", unreachable(self._topic(), self._silence()))

    def _silence(self) -> float:
        return time.monotonic() - self._last_settled

    def _topic(self) -> str:
        return next(iter(self._waiting.copy().values()), "")

    def abandon(self) -> None:
        """Drop every job in a process that was forked: its parent publishes them."""
        gone: Future[str] = Future()
        gone.set_exception(RuntimeError("the parent process publishes this job: it was made before the fork"))
        for job in self._waiting:
            job.replace(gone)
