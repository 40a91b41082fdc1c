"""The server of ``local-bigquery``, with one request more: ``POST /_local/compact`` overwrites what was deleted.

DuckLake keeps deleted rows in its files, for time travel, and their smallest and largest values in its catalog.
BigQuery forgets them after a while. Here they are gone once this request is answered, and so are the results of earlier
queries: whoever is still reading one has to ask again.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import duckdb
from local_bigquery import app
from local_bigquery.cli import main
from local_bigquery.engine import database
from local_bigquery.settings import settings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_COMPACT = "/_local/compact"


class Compacting:
    """ASGI middleware: no other request is under way while files are compacted."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._turn = asyncio.Condition()
        self._under_way = 0
        self._is_compacting = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] == _COMPACT and scope["method"] == "POST":
            await self._compact()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})
        else:
            async with self._turn:
                await self._turn.wait_for(lambda: not self._is_compacting)
                self._under_way += 1
            try:
                await self._app(scope, receive, send)
            finally:
                async with self._turn:
                    self._under_way -= 1
                    self._turn.notify_all()

    async def _compact(self) -> None:
        async with self._turn:
            await self._turn.wait_for(lambda: not self._is_compacting)
            self._is_compacting = True
            await self._turn.wait_for(lambda: not self._under_way)
        try:
            await asyncio.to_thread(compact)
        finally:
            async with self._turn:
                self._is_compacting = False
                self._turn.notify_all()


def compact() -> None:
    """Rewrite tables without their deleted rows, drop the results of queries, and copy the catalogs to new files."""
    with database.cursor() as cursor:
        for project in database.projects():
            catalog = project.replace("'", "''")
            cursor.execute(f"CALL ducklake_rewrite_data_files('{catalog}', delete_threshold => 0)")
            cursor.execute(f"CALL ducklake_expire_snapshots('{catalog}', older_than => now())")
            cursor.execute(f"CALL ducklake_cleanup_old_files('{catalog}', cleanup_all => true)")
            cursor.execute(f"DETACH {database.quote(project)}")
            _copy(settings.data_dir / f"{project}.ducklake")
            database._attach(cursor, project)  # noqa: SLF001 - the package attaches a project once
        results = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'emulator' AND schema_name = '_results'"
        for (name,) in cursor.execute(results).fetchall():
            cursor.execute(f"DROP TABLE {database.quote('emulator', '_results', name)}")
        cursor.execute("DELETE FROM emulator.jobs")
        cursor.execute("DETACH emulator")
        path = settings.data_dir / "emulator.duckdb"
        _copy(path)
        cursor.execute(f"ATTACH '{path}' AS emulator")


def _copy(path: Path) -> None:
    """Copy a database to a new file in its place: a file keeps what its free blocks held."""
    fresh = path.with_name(f"{path.name}.fresh")
    with duckdb.connect() as scratch:
        scratch.execute(f"ATTACH '{path}' AS old; ATTACH '{fresh}' AS fresh; COPY FROM DATABASE old TO fresh")
    shutil.move(fresh, path)
    path.with_name(f"{path.name}.wal").unlink(missing_ok=True)


app.add_middleware(Compacting)

if __name__ == "__main__":
    main()
