"""The threads on which Google's publisher client sends its batches, kept alive through the interpreter's exit.

Google's client starts a thread for each batch, and one for each wait before a batch is sent. From Python 3.12 on no
thread can be started once the interpreter is exiting, so what a script published last would be lost. These threads
exist before that, and are daemons, so that exit hooks run while they still work.
"""

import queue
import threading
from collections.abc import Callable
from typing import Any

from google.cloud.pubsub_v1 import PublisherClient

MIN_THREADS = 8
# Google's client has no limit: ten thousand people are ten thousand ordering keys, and as many threads.
MAX_THREADS = 64


class CommitThreads:
    """Runs tasks on daemon threads: 8 at first, up to 64 while all are busy."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._unfinished = 0
        for _ in range(MIN_THREADS):
            self._start()

    def run(self, task: Callable[[], None]) -> None:
        """Queue ``task``. It runs as soon as a thread is free."""
        with self._lock:
            self._unfinished += 1
            wanted = self._unfinished > self._threads and self._threads < MAX_THREADS
        self._tasks.put(task)
        if wanted:
            self._start()

    def stop(self) -> None:
        """End every thread once the tasks before this are done."""
        for _ in range(self._threads):
            self._tasks.put(None)

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name="customerio-jobs", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is exiting: the threads that exist do the work
            return
        with self._lock:
            self._threads += 1

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            finally:
                with self._lock:
                    self._unfinished -= 1


def use_threads(client: PublisherClient, threads: CommitThreads) -> None:
    """Have ``client`` send its batches on ``threads``.

    The client offers no setting for this, so its two methods that start a thread are replaced. A client with other
    methods, of a later version or a test's, goes on as it is: jobs that wait at exit may be lost, and are reported.
    """
    if not hasattr(client, "_batch_class") or not hasattr(client, "_start_commit_thread"):
        return

    class Batch(client._batch_class):  # type: ignore[misc]  # noqa: SLF001
        def _start_commit_thread(self) -> None:
            threads.run(self._commit)

    def start_commit_timer() -> None:
        client._commit_thread = threads  # noqa: SLF001 - any true value says that a commit is due
        threads.run(client._wait_and_commit_sequencers)  # noqa: SLF001

    replaced: Any = client
    replaced._batch_class = Batch  # noqa: SLF001
    replaced._start_commit_thread = start_commit_timer  # noqa: SLF001
