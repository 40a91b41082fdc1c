-- The life of each send: the job's deliveries, then the events of the message that it became. A send that never got a delivery id has
-- no events, and its last reason says why. Duplicates in either table change nothing: times are the first, attempts are distinct.
WITH jobs AS (
  SELECT
    job_id,
    MIN(published_at) AS published_at,
    MIN(settled_at) AS first_attempt_at,
    MIN(IF(outcome = 'done', settled_at, NULL)) AS done_at,
    MIN(IF(outcome = 'failed', settled_at, NULL)) AS failed_at,
    MIN(IF(outcome = 'done', latency_seconds, NULL)) AS latency_seconds,
    COUNT(DISTINCT CONCAT(message_id, '/', CAST(COALESCE(attempt, 0) AS STRING))) AS attempts,
    ARRAY_AGG(outcome ORDER BY settled_at DESC LIMIT 1)[OFFSET(0)] AS outcome,
    MAX_BY(reason, IF(reason IS NULL, NULL, settled_at)) AS reason,
    MAX(delivery_id) AS delivery_id,
    MAX(subject_hash) AS subject_hash,
    MAX(trace_id) AS trace_id
  FROM `${project}.${dataset}.job_outcomes`
  WHERE kind = 'send'
  GROUP BY job_id
)
SELECT
  jobs.job_id,
  jobs.published_at,
  jobs.first_attempt_at,
  jobs.done_at,
  jobs.failed_at AS dead_lettered_at,
  jobs.latency_seconds,
  jobs.attempts,
  jobs.outcome,
  jobs.reason,
  jobs.delivery_id,
  jobs.subject_hash,
  jobs.trace_id,
  messages.state,
  messages.object_type,
  messages.transactional_message_id,
  messages.sent_at,
  messages.delivered_at,
  messages.opened_at,
  messages.clicked_at,
  messages.converted_at,
  messages.bounced_at,
  messages.dropped_at,
  messages.failed_at,
  messages.unsubscribed_at,
  messages.spammed_at,
  messages.failure_message
FROM jobs
LEFT JOIN `${project}.${dataset}.messages` AS messages ON messages.delivery_id = jobs.delivery_id
