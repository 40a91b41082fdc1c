"""Pauses: messages of the control topic, which stop and start the push of other topics' jobs."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.handlers.control import endpoint
from shared.settings import Settings

answer = endpoint(Settings.from_environment("control"))


@functions_framework.aio.http
async def control(request: Request) -> Response:
    return await answer(request)
