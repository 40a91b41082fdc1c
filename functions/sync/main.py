"""The application's own users: jobs of the sync topic, applied through Customer.io's Track API."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.handlers.sync import endpoint
from shared.settings import Settings

answer = endpoint(Settings.from_environment("sync"))


@functions_framework.aio.http
async def sync(request: Request) -> Response:
    return await answer(request)
