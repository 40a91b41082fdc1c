"""Exports of people and deliveries: created, pending for a moment, then a CSV file behind a signed link.

The file is written when it is downloaded, from what is known then, so an export holds no memory.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec

from local import deadlines

type Rows = Callable[[], Iterator[list[str]]]
type ExportType = Literal["customers", "deliveries"]


class Export(msgspec.Struct):
    """`rows` writes the table, header first. `ready_at` is on the monotonic clock; other times are unix seconds."""

    id: int
    type: ExportType
    rows: Rows
    created_at: int
    ready_at: float
    downloads: int = 0
    total: int = 0

    @property
    def is_done(self) -> bool:
        return time.monotonic() >= self.ready_at

    def report(self) -> dict[str, Any]:
        """The export as the App API shows it. `total` is 0 until it is done."""
        if self.is_done and not self.total:
            self.total = sum(1 for _ in self.rows()) - 1
        return {
            "id": self.id,
            "deduplicate_id": f"{self.id}:{self.created_at}",
            "type": self.type,
            "status": "done" if self.is_done else "pending",
            "failed": False,
            "total": self.total,
            "description": "",
            "downloads": self.downloads,
            "created_at": self.created_at,
            "updated_at": self.created_at,
            "user_id": 1,
            "user_email": "",
        }


class Exports:
    """All exports, oldest first.

    Args:
        seconds: How long an export is pending.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._exports: list[Export] = []
        self._key = secrets.token_bytes(32)

    def __iter__(self) -> Iterator[Export]:
        return iter(self._exports)

    def create(self, kind: ExportType, rows: Rows) -> Export:
        number = len(self._exports) + 1
        export = Export(number, kind, rows, int(time.time()), time.monotonic() + self._seconds)
        self._exports.append(export)
        return export

    def find(self, export_id: str) -> Export | None:
        number = int(export_id) if export_id.isdecimal() else 0
        return self._exports[number - 1] if 1 <= number <= len(self._exports) else None

    def link(self, export: Export) -> str:
        """Path and query of a download that is valid for 15 minutes, without credentials."""
        expires = int(time.time() + deadlines.DOWNLOAD_LINK_SECONDS)
        return f"/exports/{export.id}.csv?expires={expires}&signature={self._sign(str(export.id), str(expires))}"

    def is_signed(self, export_id: str, expires: str, signature: str) -> bool:
        """Whether a link is ours and has not expired."""
        good = hmac.compare_digest(signature.encode(), self._sign(export_id, expires).encode())
        return good and expires.isdecimal() and int(expires) > time.time()

    def _sign(self, export_id: str, expires: str) -> str:
        return hmac.new(self._key, f"{export_id}:{expires}".encode(), hashlib.sha256).hexdigest()
