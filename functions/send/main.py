"""Transactional messages: jobs of the send topic, sent through Customer.io's App API."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.handlers.send import endpoint
from shared.settings import Settings

answer = endpoint(Settings.from_environment("send"))


@functions_framework.aio.http
async def send(request: Request) -> Response:
    return await answer(request)
