-- How long jobs took from publishing to done. Pub/Sub delivers an outcome at least once, so the window drops the second of a pair, which
-- has the same settled_at. Because the partitioning column is in the window, BigQuery may apply a filter on `hour` before it.
WITH done AS (
  SELECT *
  FROM `${project}.${dataset}.job_outcomes`
  WHERE outcome = 'done'
    AND how = 'applied'
  QUALIFY ROW_NUMBER() OVER (PARTITION BY job_id, message_id, settled_at ORDER BY attempt) = 1
)
SELECT
  TIMESTAMP_TRUNC(settled_at, HOUR) AS hour,
  kind,
  COUNT(*) AS jobs,
  APPROX_QUANTILES(latency_seconds, 100)[OFFSET(50)] AS p50_seconds,
  APPROX_QUANTILES(latency_seconds, 100)[OFFSET(95)] AS p95_seconds,
  APPROX_QUANTILES(latency_seconds, 100)[OFFSET(99)] AS p99_seconds
FROM done
GROUP BY hour, kind
