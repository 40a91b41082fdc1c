-- One row per event. Customer.io and Pub/Sub deliver at least once, so table `events` holds the rare event twice, each time with
-- the same event_time. That is the column by which the table is partitioned: only because it is in the window, too, may BigQuery
-- apply a filter on it before the window, and read no other days.
SELECT *
FROM `${project}.${dataset}.events`
QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id, event_time ORDER BY received_at) = 1
