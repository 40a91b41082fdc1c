"""Broadcasts: jobs of the broadcast topic, triggered through Customer.io's App API."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.handlers.broadcast import endpoint
from shared.settings import Settings

answer = endpoint(Settings.from_environment("broadcast"))


@functions_framework.aio.http
async def broadcast(request: Request) -> Response:
    return await answer(request)
