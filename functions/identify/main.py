"""People and objects: jobs of the identify topic, applied through Customer.io's Track API."""

import os

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.handlers.identify import endpoint

answer = endpoint(os.environ)


@functions_framework.aio.http
async def identify(request: Request) -> Response:
    return await answer(request)
