"""The usual function for transactional messages: synchronous, the official client; sends again if delivered again."""

import base64
import json
import os
from typing import Any

import functions_framework
from customerio import APIClient, SendEmailRequest
from flask import Request

client = APIClient(os.environ["CUSTOMERIO_APP_API_KEY"], url=os.environ["CUSTOMERIO_APP_URL"])


@functions_framework.http
def usual_send(request: Request) -> tuple[str, int]:
    job: dict[str, Any] = json.loads(base64.b64decode(request.get_json()["message"]["data"]))
    client.send_email(SendEmailRequest(**job))
    return "", 204
