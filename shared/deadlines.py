"""Every number of seconds that the functions and the publisher use; the inequalities between them are a test.

Backoffs, ack deadlines and Cloud Run's timeouts are in ``topology.json``, because Terraform reads them too.
"""

# --- A push ----------------------------------------------------------------------------------------

# A push is answered by then: below Cloud Run's timeout and the ack deadline of every topic in topology.json.
PUSH_SECONDS = 45.0
# Cloud Run kills an instance 10 s after SIGTERM. What is on the wire then is finished and recorded within this.
# https://cloud.google.com/run/docs/container-contract#instance-shutdown
SHUTDOWN_SECONDS = 8.0
# Publishing one message, to the next lane or a dead-letter topic.
PUBLISH_SECONDS = 10.0
# Google's publisher client gathers messages this long, and waits this long between two attempts.
PUBLISH_BATCH_SECONDS = 0.005
PUBLISH_RETRY_MIN_SECONDS = 0.1
PUBLISH_RETRY_MAX_SECONDS = 1.0

# The answer of a push waits this long for its outcome to be published: longer than Pub/Sub usually takes.
OUTCOME_WAIT_SECONDS = 0.25
# Outcomes that could not be published are counted in one log line in this time.
LOST_OUTCOMES_LOG_SECONDS = 60.0

# --- The publisher of an application ---------------------------------------------------------------

# What waits when the process ends gets this long, unless the application says otherwise.
PUBLISHER_EXIT_SECONDS = 10.0
# Pub/Sub answers in tens of milliseconds. The application hears of it when there was no answer for this long.
PUBLISHER_UNREACHABLE_SECONDS = 10.0

# --- Sends and broadcasts --------------------------------------------------------------------------

# One request to the App API.
APP_REQUEST_SECONDS = 10.0
# The end of a push that is left for writing down what became of a call.
RECORD_SECONDS = 6.0
# Pause between two attempts to write it down, when the ledger does not answer.
RECORD_RETRY_SECONDS = 0.5
# The part of a push in which a call may begin. Before it, the push may wait for the account's rate; after it there is
# time for the claim, one request and the record.
CALL_WINDOW_SECONDS = 24.0
# A claim's lease: longer than a call may take, shorter than the ack deadline, so that a delivery that comes again after
# a crash finds it run out.
LEASE_SECONDS = 40.0
# An unknown outcome is a send's own, and counted, if another request succeeded this shortly before it.
OTHERS_SUCCEED_SECONDS = 60.0

# A triggered broadcast is looked at for this long, after pauses that double from the first to the last: whether it is
# processed, and whom it left out. The next trigger may come after 10 s anyway.
TRIGGER_WATCH_SECONDS = 8.0
TRIGGER_MIN_PAUSE_SECONDS = 0.25
TRIGGER_MAX_PAUSE_SECONDS = 2.0

# --- The drain of lane bulk ------------------------------------------------------------------------

# One push of the bell pulls for so long, then rings again and leaves the next pulls to that push. It bounds the time in
# which jobs still begin after an operator's pause, which stops the bell.
DRAIN_PULL_SECONDS = 5.0
# A lane is empty when a pull found nothing for this long since the bell last rang: the same message rings and waits,
# and may come a little later by the one subscription than by the other.
EMPTY_PULL_SECONDS = 2.0
# Jobs are in hand for about this long before their call begins, at the account's rate.
BULK_IN_HAND_SECONDS = 2.0
# Rings that are younger are never forgotten, because two machines' clocks may differ a little.
RING_KEPT_SECONDS = 0.1
# Acknowledgements wait this long for company.
ACK_LINGER_SECONDS = 0.05
# One acknowledgement, with its repetitions.
ACK_SECONDS = 5.0

# --- Pauses ----------------------------------------------------------------------------------------

# A function asks for a pause when nothing got through for this long and no answer said why.
PAUSE_AFTER_SECONDS = 60.0
# An instance asks no more often than this. Shorter than the time to a first probe, so that a resumption which helped
# nothing is undone before it costs more than an attempt.
PAUSE_REQUEST_INTERVAL_SECONDS = 30.0
# Publishing a request for a pause: what is left of a push after PUSH_SECONDS, before Cloud Run ends it.
PAUSE_REQUEST_SECONDS = 4.0
# A request or tick that is older says nothing about now.
CONTROL_MESSAGE_MAX_AGE_SECONDS = 120.0
# Cloud Scheduler's interval, and that of the ticker on one machine.
TICK_SECONDS = 60.0
# From the start of a pause to its first probe; it doubles while probes end pauses that start again at once.
PROBE_MIN_WAIT_SECONDS = 60.0
PROBE_MAX_WAIT_SECONDS = 7_200.0
# A tick that comes this much earlier than the minute still probes.
PROBE_SLACK_SECONDS = 15.0
# One probe, which Customer.io answers in well under a second.
PROBE_SECONDS = 5.0
# A resumption that lasted this long was right: the next pause is probed after a minute again.
RESUMED_FOR_GOOD_SECONDS = 600.0
# One read or change of a subscription.
SUBSCRIPTION_CALL_SECONDS = 5.0

# --- Track operations ------------------------------------------------------------------------------

# One batch is answered in well under a second.
TRACK_REQUEST_SECONDS = 10.0

# --- Sync ------------------------------------------------------------------------------------------

# All calls of one job. A request that is on the wire by then ends within two request times.
PROFILE_CALLS_SECONDS = 40.0
# Other jobs of the user wait this long for a delivery that does not say how it ended: longer than any of its calls can
# be on the wire, so that none arrives after theirs.
PROFILE_LEASE_SECONDS = 70.0
# A push waits this long for another one about the same user, and reads what is stored after pauses that grow.
PROFILE_WAIT_SECONDS = 10.0
PROFILE_MIN_PAUSE_SECONDS = 0.02
PROFILE_MAX_PAUSE_SECONDS = 1.0

# --- Ledger ----------------------------------------------------------------------------------------

# One method of a ledger, however many requests it takes.
LEDGER_CALL_SECONDS = 5.0
# Firestore's client tries again for this long, beginning and ending with these pauses. Its own policy goes on for 60 s.
LEDGER_RETRY_SECONDS = 3.0
LEDGER_RETRY_MIN_SECONDS = 0.1
LEDGER_RETRY_MAX_SECONDS = 1.0
# Pause between two attempts to switch a new SQLite file to write-ahead logging.
SQLITE_SWITCH_SECONDS = 0.02
# A record is kept this long after its last claim. A job can be away for 16 h in its lanes, 31 days as a dead letter,
# and the same again after a replay.
LEDGER_RETENTION_DAYS = 66

# Functions read anew whom they must not bring back after this long: one small query of an instance that takes pushes.
TOMBSTONE_READ_SECONDS = 30.0
# Clocks of those who set tombstones differ by less than this: a reading begins that much before the last one.
TOMBSTONE_OVERLAP_SECONDS = 300.0
# A tombstone stays this long, so that a yearly run over all users brings nobody back unnoticed. Customer.io's own
# suppression has no end.
TOMBSTONE_RETENTION_DAYS = 400

# --- Secrets ---------------------------------------------------------------------------------------

# A value is read anew after this long, so that a rotation needs no redeploy.
SECRET_KEPT_SECONDS = 300.0
# All calls of one read.
SECRET_READ_SECONDS = 5.0
# A refused key is refused many times a second under load; Secret Manager is asked no more often than this.
SECRET_REFRESH_SECONDS = 5.0
# A withdrawn signing key is refused after this long. A new one is accepted at once.
SIGNING_KEY_KEPT_SECONDS = 60.0
# An unauthenticated caller decides when signing keys are looked for, so that is limited, too.
SIGNING_KEY_REFRESH_SECONDS = 5.0
# A webhook waits this long for keys that are read anew, as long as old ones are known.
SIGNING_KEY_WAIT_SECONDS = 1.0

# --- Webhook ---------------------------------------------------------------------------------------

# Customer.io waits 4 s for an answer; half a second is left for the network.
# https://docs.customer.io/integrations/api/webhooks/ ("Timeouts and failures")
WEBHOOK_TIMEOUT_SECONDS = 4.0
WEBHOOK_ANSWER_SECONDS = 3.5
WEBHOOK_PUBLISH_SECONDS = 3.0
# After a 413 the rest of the body is read this long, so that the caller sees the answer and not a reset.
REFUSED_BODY_SECONDS = 1.0

# --- Logs ------------------------------------------------------------------------------------------

# One line per refused caller in this time, whatever is sent.
REFUSAL_LOG_SECONDS = 1.0

# --- Customer.io's client and BigQuery -------------------------------------------------------------

# Part-filled Track batches leave at most this often, so that they fill under load. A lone one leaves at once.
BATCH_INTERVAL_SECONDS = 0.02

# A request is not started with less time than this before its deadline: Customer.io answers well within it.
MIN_REQUEST_SECONDS = 1.0

# Time for DNS, TCP and TLS of a new connection to Customer.io.
CONNECT_SECONDS = 5.0

# Idle connections are dropped after this. It is aiohttp's own default; the next request after a longer rest opens a
# new connection, which also covers an instance that was frozen meanwhile.
KEEPALIVE_SECONDS = 15.0

# Pauses of an open circuit breaker: the first one, and the bound of their doubling.
BREAKER_MIN_PAUSE_SECONDS = 1.0
BREAKER_MAX_PAUSE_SECONDS = 30.0

# Longest pause taken from a Retry-After header. customerio-node clamps the header to the same value.
MAX_RETRY_AFTER_SECONDS = 300.0

# Tokens that nobody took for this long stay due at once, which makes up for a late timer. With more, a burst after a
# rest would exceed the account's rate.
RATE_BURST_SECONDS = 0.1

# Part-filled inserts of rows leave at most this often, so that they fill under load. A lone row leaves at once.
ROW_INTERVAL_SECONDS = 0.02

# An attempt to insert rows may take this long to connect, and as long again to read. No attempt begins after
# ROW_RETRY_SECONDS, so an insert ends within ROW_RETRY_SECONDS + 2 * ROW_ATTEMPT_SECONDS = 18 s.
ROW_ATTEMPT_SECONDS = 5.0
ROW_RETRY_SECONDS = 8.0

# A row is given back after this long, whatever it waits for. Shorter than a push may take.
ROW_WAIT_SECONDS = 30.0
