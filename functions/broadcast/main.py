"""Broadcasts: jobs of the broadcast topic, triggered through Customer.io's App API."""

import os

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.handlers.broadcast import endpoint

answer = endpoint(os.environ)


@functions_framework.aio.http
async def broadcast(request: Request) -> Response:
    return await answer(request)
