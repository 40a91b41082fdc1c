"""Outcome of a job to the status of its push's answer: 102, 200, 201, 202 and 204 acknowledge, all else comes again.

https://cloud.google.com/pubsub/docs/push#receive_push
"""

from starlette.responses import Response

from ..outcome import Outcome, Retry

ACKNOWLEDGED = Response(status_code=204)
AGAIN = {status: Response(status_code=status) for status in (429, 503)}


def answer(outcome: Outcome) -> Response:
    """204 for what is settled (a failed job is in its dead-letter topic by now), 429 or 503 for the rest."""
    return AGAIN[outcome.status] if isinstance(outcome, Retry) else ACKNOWLEDGED
