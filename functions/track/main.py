"""Events: jobs of the track topic, applied through Customer.io's Track API."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.handlers.track import endpoint
from shared.settings import Settings

answer = endpoint(Settings.from_environment("track"))


@functions_framework.aio.http
async def track(request: Request) -> Response:
    return await answer(request)
