"""Every number of seconds that local/ waits, pauses or gives up after, with its source where it has one."""

from typing import Final

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
DEAD_LETTER_ACK_SECONDS: Final = 60

# --- The demo ---

DEMO_OUTAGE_SECONDS: Final = 3.0
DEMO_REACTION_SECONDS: Final = 2.0
DEMO_MAX_WAIT_SECONDS: Final = 120.0
DEMO_POLL_SECONDS: Final = 0.2
PUBLISH_SECONDS: Final = 30.0
HTTP_CALL_SECONDS: Final = 10.0
PULL_SECONDS: Final = 1.0
