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

# --- Sends and broadcasts --------------------------------------------------------------------------

# One request to the App API.
APP_REQUEST_SECONDS = 10.0
# All of a claimed call: two requests (a 401 is tried again) and reading the secrets between them.
CALL_SECONDS = 32.0
# A push waits this long for the account's rate before it is given back.
SEND_RATE_WAIT_SECONDS = 5.0
# A little more than the pause between two broadcasts: the next one waits its turn instead of coming again.
BROADCAST_RATE_WAIT_SECONDS = 12.0
# A claim's lease: longer than a call may take, shorter than the ack deadline, so that a delivery that comes again after
# a crash finds it run out.
LEASE_SECONDS = 40.0

# --- Track operations ------------------------------------------------------------------------------

# One batch is answered in well under a second.
TRACK_REQUEST_SECONDS = 10.0

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
