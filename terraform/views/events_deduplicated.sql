-- One row per event. Customer.io and Pub/Sub deliver at least once, so table `events` holds the rare event twice.
SELECT *
FROM `${project}.${dataset}.events`
QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY received_at) = 1
