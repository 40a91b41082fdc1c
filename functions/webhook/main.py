"""Customer.io's reporting webhooks: verified, published to the events topic, answered within its 4 s."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.handlers.webhook import endpoint
from shared.settings import Settings

answer = endpoint(Settings.from_environment("webhook"))


@functions_framework.aio.http
async def webhook(request: Request) -> Response:
    return await answer(request)
