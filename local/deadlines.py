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

# --- Customer.io's simulator ---

# A failed webhook: https://docs.customer.io/integrations/api/webhooks/
WEBHOOK_TIMEOUT_SECONDS: Final = 4.0
WEBHOOK_LONG_WAIT_SECONDS: Final = 3600.0
WEBHOOK_MAX_RETRY_SECONDS: Final = 7 * 24 * 3600.0
# Customer.io does not publish the steps of its exponential backoff; these are ours.
WEBHOOK_MIN_BACKOFF_SECONDS: Final = 1.0
WEBHOOK_MAX_BACKOFF_SECONDS: Final = 60.0

# https://docs.customer.io/integrations/api/app/: `send_at` is at most 90 days ahead, a link is valid 15 minutes.
MAX_SEND_AT_SECONDS_AHEAD: Final = 90 * 24 * 3600
DOWNLOAD_LINK_SECONDS: Final = 15 * 60
# Customer.io publishes "3000 requests per 3 seconds" for the Track API, so a burst of three seconds passes.
RATE_BURST_SECONDS: Final = 3.0
# Customer.io does not publish how long it works on an export or a trigger. These keep clients honest: they must poll.
DEFAULT_EXPORT_SECONDS: Final = 0.5
DEFAULT_TRIGGER_SECONDS: Final = 0.5
# How long people take to open a message, about: see local/customerio/engagement.py.
DEFAULT_REACTION_SECONDS: Final = 10.0
# What is still being answered when the simulator stops may take this long.
SIMULATOR_SHUTDOWN_SECONDS: Final = 0.5

# --- The stack ---

PART_START_SECONDS: Final = 60.0
PART_STOP_SECONDS: Final = 10.0
PART_POLL_SECONDS: Final = 0.05
# How long the rest of a process's output is waited for once it has ended.
LOG_END_SECONDS: Final = 1.0
# How long a function may finish its requests after SIGTERM, below PART_STOP_SECONDS.
FUNCTION_SHUTDOWN_SECONDS: Final = 5
# Customer.io waits an hour after most failures of a webhook. Here somebody is watching.
STACK_WEBHOOK_LONG_WAIT_SECONDS: Final = 15.0
PUBSUB_CALL_SECONDS: Final = 30.0
# However large the time scale, control is not asked more often than this.
MIN_TICK_SECONDS: Final = 0.5
DEAD_LETTER_ACK_SECONDS: Final = 60

# --- The console ---

# How often the page's numbers are read while somebody looks at it, and BigQuery's reports.
CONSOLE_LOOK_SECONDS: Final = 1.0
CONSOLE_REPORT_SECONDS: Final = 3.0
# A rate on the page is the average over this long: shorter ones jump between 0 and 1.
CONSOLE_RATE_SECONDS: Final = 3.0
# Longest wait for the broker or the simulator.
CONSOLE_SOURCE_SECONDS: Final = 3.0
# How late Customer.io answers where the page's switch says "slow".
CONSOLE_SLOW_ANSWER_SECONDS: Final = 3.0
# Longest wait for one pull of outcomes, above EMPTY_PULL_WAIT_SECONDS.
CONSOLE_PULL_SECONDS: Final = 15.0
# A browser whose stream was cut tries again after this long.
CONSOLE_RECONNECT_SECONDS: Final = 1.0
# How long a stopping console waits for its open streams, which never end by themselves.
CONSOLE_SHUTDOWN_SECONDS: Final = 1

# --- The demo ---

DEMO_OUTAGE_SECONDS: Final = 3.0
DEMO_REACTION_SECONDS: Final = 2.0
DEMO_MAX_WAIT_SECONDS: Final = 120.0
DEMO_POLL_SECONDS: Final = 0.2
PUBLISH_SECONDS: Final = 30.0
HTTP_CALL_SECONDS: Final = 10.0
PULL_SECONDS: Final = 1.0
