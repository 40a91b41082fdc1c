"""Events that Customer.io reported: messages of the events topic, one row each in BigQuery."""

import os

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.handlers.archive import endpoint

answer = endpoint(os.environ)


@functions_framework.aio.http
async def archive(request: Request) -> Response:
    return await answer(request)
