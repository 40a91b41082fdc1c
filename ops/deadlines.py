"""Every number of seconds that the operator's commands use."""

from shared.deadlines import LEDGER_RETENTION_DAYS, TOMBSTONE_READ_SECONDS

CONNECT_SECONDS = 3.0
"""Longest wait for the first connection to a service. With what follows, a command reports an outage within 5 s."""

RETRY_SECONDS = 3.0
"""How long a failed call to Google is tried again."""

QUERY_SECONDS = 4.0
"""Longest wait for a small request: a topic's settings, a table's schema, an HTTP check."""

PUBLISH_SECONDS = 30.0
"""Longest wait for one publish request, which may carry 9 MB over a slow line."""

SETTLE_SECONDS = 10.0
"""Longest wait for one request that acknowledges messages or extends their leases."""

LEASE_SECONDS = 90
"""Lease of the messages that a command holds: how long they stay hidden if it is killed."""

EXTEND_LEASES_EVERY_SECONDS = 20.0
"""Pause between two extensions of the leases; a quarter of a lease, so that three failures lose nothing."""

DEFAULT_PULL_WAIT_SECONDS = 3.0
"""How long a subscription must stay silent before it counts as read to its end, where nothing else tells."""

RETRY_MIN_SECONDS = 0.1
RETRY_MAX_SECONDS = 1.0
"""Shortest and longest pause between two attempts of a call to Pub/Sub."""

BACKLOG_LOOK_BACK_SECONDS = 600.0
"""Age of the oldest sample that ``status`` takes: metrics are sampled every minute and visible up to two later."""

RATE_STEP_SECONDS = 0.1
"""Length of one step of a rate-limited replay."""

TRACE_QUERY_SECONDS = 30.0
"""Longest wait for a query over all outcomes or events of BigQuery, once it has started."""

WEBHOOK_SECONDS = 4.0
"""Customer.io's own timeout for a webhook."""

WATCH_LOCAL_SECONDS = 2.0
WATCH_CLOUD_SECONDS = 30.0
"""Pause between two tables of ``status --watch``. Cloud Monitoring samples once a minute."""

RESUME_SECONDS = 10.0
"""How long ``resume`` waits until a subscription pushes again. Control answers a tick within a second or two."""

RESUME_POLL_SECONDS = 0.2

FOLLOW_LOGS_SECONDS = 0.3
"""Pause between two looks at the log files."""

APP_API_SECONDS = 30.0
"""Longest wait for one answer of Customer.io's App API, which may compute a page of people first."""

APP_API_RETRY_SECONDS = 60.0
APP_API_PAUSE_SECONDS = 1.0
"""How long a read of the App API is repeated, and the pause in between: its limit is 10 requests a second."""

EXPORT_SECONDS = 3600.0
EXPORT_MIN_PAUSE_SECONDS = 0.2
EXPORT_MAX_PAUSE_SECONDS = 10.0
"""Longest wait for an export, and the pauses between two looks at it."""

MERGE_SECONDS = 120.0
MERGE_PAUSE_SECONDS = 0.5
"""Longest wait until merged people are gone at Customer.io, and the pause between two looks."""

TABLE_HOURS = 24.0
"""Life of a command's own tables in BigQuery, where it is killed before it drops them."""

FUNCTIONS_KNOW_SECONDS = TOMBSTONE_READ_SECONDS + 5.0
"""Wait after which every function has read who is forgotten, and what it had begun before is nearly always done."""

STREAMING_BUFFER_MINUTES = 95.0
"""Age from which streamed rows can be deleted: BigQuery says up to 90 minutes.
https://cloud.google.com/bigquery/docs/streaming-data-into-bigquery#dataavailability"""

COMPACT_SECONDS = 120.0
"""Longest wait while the local BigQuery writes its files anew."""

PUBSUB_RETENTION_DAYS = 7.0
"""How long a message waits for its delivery at the most: Pub/Sub's default, which Terraform leaves as it is."""

LOG_DAYS = 30.0
"""Retention of Cloud Logging's default bucket."""

BIGQUERY_COPIES_DAYS = 14.0
"""Seven days of time travel and seven of fail-safe. https://cloud.google.com/bigquery/docs/time-travel"""

CLAIM_DAYS = LEDGER_RETENTION_DAYS
