"""People and objects: jobs of the identify topic, applied through Customer.io's Track API."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.handlers.identify import endpoint
from shared.settings import Settings

answer = endpoint(Settings.from_environment("identify"))


@functions_framework.aio.http
async def identify(request: Request) -> Response:
    return await answer(request)
