"""The asynchronous function: one job per push, one call per job, aiohttp."""

import base64
import json
import os
from typing import Any

import aiohttp
import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

_URL = os.environ["CUSTOMERIO_TRACK_URL"] + "/api/v2/entity"
_sessions: list[aiohttp.ClientSession] = []


def _session() -> aiohttp.ClientSession:
    if not _sessions:  # at the first push, inside the event loop
        auth = aiohttp.BasicAuth(os.environ["CUSTOMERIO_SITE_ID"], os.environ["CUSTOMERIO_TRACK_API_KEY"])
        _sessions.append(aiohttp.ClientSession(auth=auth, connector=aiohttp.TCPConnector(limit=1_000)))
    return _sessions[0]


@functions_framework.aio.http
async def asynchronous(request: Request) -> Response:
    job: dict[str, Any] = json.loads(base64.b64decode((await request.json())["message"]["data"]))
    async with _session().post(_URL, json=job) as answer:
        answer.raise_for_status()
    return Response(status_code=204)
