"""The stack's folder: ``data``, ``logs``, ``stack.env`` and a lock."""

import fcntl
import shutil
from pathlib import Path
from typing import IO

from local.stack.errors import StackError

# An empty BigQuery, a ledger and an hour of logs. DuckDB stops when it cannot write.
_MIN_FREE_BYTES = 200 << 20


class StackFolder:
    """Files of one stack. They belong to whoever holds the lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: IO[str] | None = None

    @property
    def data(self) -> Path:
        return self._path / "data"

    @property
    def logs(self) -> Path:
        return self._path / "logs"

    def lock(self) -> None:
        """Take the folder. The lock goes with the process, however that ends.

        Raises:
            StackError: if another stack holds it, or the folder cannot be written.
        """
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            self._lock = (self._path / "lock").open("w")
        except OSError as error:
            raise _unwritable(error, self._path) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.unlock()
            raise StackError(f"A stack is running in {self._path}: use it, or stop it first.") from None

    def unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def make_empty(self) -> None:
        """Remove what an earlier stack left, so that all parts start with the same: nothing.

        Raises:
            StackError: if the disk is full or the folder cannot be written.
        """
        self.remove_data()
        free = shutil.disk_usage(self._path).free
        if free < _MIN_FREE_BYTES:
            raise StackError(
                f"The disk of {self._path} has {free >> 20} MB left and the stack needs {_MIN_FREE_BYTES >> 20} MB: "
                "make room and start again."
            )
        try:
            self.data.mkdir()
            self.logs.mkdir()
        except OSError as error:
            raise _unwritable(error, self._path) from None

    def remove_data(self) -> None:
        """Remove data and logs, and nothing else.

        Raises:
            StackError: if something cannot be removed.
        """
        try:
            for folder in (self.data, self.logs):
                if folder.exists():
                    shutil.rmtree(folder)
        except OSError as error:
            raise _unwritable(error, self._path) from None

    def write_env(self, text: str) -> None:
        fresh = self._path / "stack.env.new"
        fresh.write_text(text)
        fresh.replace(self._path / "stack.env")  # a reader sees the old file or the new one, whole

    def remove_env(self) -> None:
        (self._path / "stack.env").unlink(missing_ok=True)


def _unwritable(error: OSError, path: Path) -> StackError:
    return StackError(f"The stack cannot write to {error.filename or path}: {error.strerror}.")
