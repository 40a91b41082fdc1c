"""The limit: a function that reads the body and answers 204."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response


@functions_framework.aio.http
async def empty(request: Request) -> Response:
    await request.body()
    return Response(status_code=204)
