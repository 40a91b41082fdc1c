"""Events that Customer.io reported: messages of the events topic, one row each in BigQuery."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.handlers.archive import endpoint
from shared.settings import Settings

answer = endpoint(Settings.from_environment("archive"))


@functions_framework.aio.http
async def archive(request: Request) -> Response:
    return await answer(request)
