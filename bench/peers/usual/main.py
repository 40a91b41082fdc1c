"""The usual function: synchronous, one job per push, the official client, functions-framework's default threads."""

import base64
import json
import os
from typing import Any

import functions_framework
from customerio import CustomerIO
from flask import Request

client = CustomerIO(os.environ["CUSTOMERIO_SITE_ID"], os.environ["CUSTOMERIO_TRACK_API_KEY"])
client.base_url = os.environ["CUSTOMERIO_TRACK_URL"] + "/api/v1"  # plain HTTP, like every other subject of the run


@functions_framework.http
def usual(request: Request) -> tuple[str, int]:
    job: dict[str, Any] = json.loads(base64.b64decode(request.get_json()["message"]["data"]))
    person = job["identifiers"]["id"]
    if "name" in job:
        client.track(person, job["name"], job["attributes"])
    else:
        client.identify(person, **job["attributes"])
    return "", 204
