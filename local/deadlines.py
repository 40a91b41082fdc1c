"""Every number of seconds that local/ waits, pauses or gives up after, with its source where it has one."""

from typing import Final

# --- Pub/Sub ---

# Limits and defaults that Google documents:
# https://docs.cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions

MIN_ACK_DEADLINE_SECONDS: Final = 10
MAX_ACK_DEADLINE_SECONDS: Final = 600
DEFAULT_ACK_DEADLINE_SECONDS: Final = 10

MAX_RETRY_BACKOFF_SECONDS: Final = 600
DEFAULT_MIN_RETRY_BACKOFF_SECONDS: Final = 10
DEFAULT_MAX_RETRY_BACKOFF_SECONDS: Final = 600

MIN_RETENTION_SECONDS: Final = 600
MAX_RETENTION_SECONDS: Final = 31 * 86_400
DEFAULT_RETENTION_SECONDS: Final = 7 * 86_400
DEFAULT_EXPIRATION_SECONDS: Final = 31 * 86_400

# https://docs.cloud.google.com/pubsub/docs/push#push_backoff
MIN_PUSH_BACKOFF_SECONDS: Final = 0.1
MAX_PUSH_BACKOFF_SECONDS: Final = 60.0
# Google does not document when a push backoff is forgotten. Twice the maximum outlasts every round of pushes.
FORGET_PUSH_BACKOFF_SECONDS: Final = 2 * MAX_PUSH_BACKOFF_SECONDS

# A pull that finds nothing waits this long for a message, if its client's deadline leaves as much.
EMPTY_PULL_WAIT_SECONDS: Final = 10.0
# gunicorn closes an idle connection after 2 s and uvicorn after 5 s. A push sent at that moment would be lost.
MAX_IDLE_PUSH_CONNECTION_SECONDS: Final = 1.5
# How long a stopping broker lets gRPC calls and HTTP requests end by themselves.
BROKER_STOP_GRACE_SECONDS: Final = 0.5
# The `reorder` fault holds a message back until the next one overtakes it, but never longer than this.
MAX_REORDER_SECONDS: Final = 1.0
# The `delay` fault, if it names no seconds.
DEFAULT_FAULT_DELAY_SECONDS: Final = 1.0
