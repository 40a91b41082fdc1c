-- One row per message to one person. `state` is the metric of its latest event; of several in one second (Customer.io
-- reports whole seconds), the one that comes later in a message's life. Times are the first of each metric.
WITH events AS (
  SELECT
    *,
    COALESCE(event_time, received_at) AS happened_at,
    CASE metric
      WHEN 'drafted' THEN 1
      WHEN 'attempted' THEN 2
      WHEN 'deferred' THEN 3
      WHEN 'sent' THEN 4
      WHEN 'delivered' THEN 5
      WHEN 'opened' THEN 6
      WHEN 'clicked' THEN 7
      WHEN 'replied' THEN 8
      WHEN 'converted' THEN 9
      WHEN 'bounced' THEN 10
      WHEN 'dropped' THEN 11
      WHEN 'undeliverable' THEN 12
      WHEN 'failed' THEN 13
      WHEN 'unsubscribed' THEN 14
      WHEN 'spammed' THEN 15
      ELSE 0
    END AS life_order
  FROM `${project}.${dataset}.events_deduplicated`
  WHERE delivery_id IS NOT NULL
    AND delivery_id != ''
    -- These name the message that led to them, and say nothing about the message.
    AND metric NOT IN ('subscribed', 'cio_subscription_preferences_changed')
)
SELECT
  delivery_id,
  ARRAY_AGG(metric ORDER BY happened_at DESC, life_order DESC LIMIT 1)[OFFSET(0)] AS state,
  ARRAY_AGG(object_type IGNORE NULLS ORDER BY happened_at DESC LIMIT 1)[SAFE_OFFSET(0)] AS object_type,
  MAX(person_id) AS person_id,
  MAX(person_email) AS person_email,
  MAX(person_cio_id) AS person_cio_id,
  MAX(recipient) AS recipient,
  MAX(subject) AS subject,
  MAX(campaign_id) AS campaign_id,
  MAX(broadcast_id) AS broadcast_id,
  MAX(trigger_id) AS trigger_id,
  MAX(newsletter_id) AS newsletter_id,
  MAX(content_id) AS content_id,
  MAX(transactional_message_id) AS transactional_message_id,
  MAX(action_id) AS action_id,
  MAX(journey_id) AS journey_id,
  MIN(happened_at) AS first_event_at,
  MAX(happened_at) AS latest_event_at,
  MIN(IF(metric = 'drafted', happened_at, NULL)) AS drafted_at,
  MIN(IF(metric = 'attempted', happened_at, NULL)) AS attempted_at,
  MIN(IF(metric = 'deferred', happened_at, NULL)) AS deferred_at,
  MIN(IF(metric = 'sent', happened_at, NULL)) AS sent_at,
  MIN(IF(metric = 'delivered', happened_at, NULL)) AS delivered_at,
  MIN(IF(metric = 'opened', happened_at, NULL)) AS opened_at,
  -- Without opens by privacy proxies and other machines, and without those inferred from a machine's click.
  MIN(IF(metric = 'opened' AND NOT COALESCE(prefetched, FALSE), happened_at, NULL)) AS opened_by_person_at,
  MIN(IF(metric = 'clicked', happened_at, NULL)) AS clicked_at,
  MIN(IF(metric = 'clicked' AND NOT COALESCE(machine, FALSE), happened_at, NULL)) AS clicked_by_person_at,
  MIN(IF(metric = 'replied', happened_at, NULL)) AS replied_at,
  MIN(IF(metric = 'converted', happened_at, NULL)) AS converted_at,
  MIN(IF(metric = 'bounced', happened_at, NULL)) AS bounced_at,
  MIN(IF(metric = 'dropped', happened_at, NULL)) AS dropped_at,
  MIN(IF(metric = 'undeliverable', happened_at, NULL)) AS undeliverable_at,
  MIN(IF(metric = 'failed', happened_at, NULL)) AS failed_at,
  MIN(IF(metric = 'unsubscribed', happened_at, NULL)) AS unsubscribed_at,
  MIN(IF(metric = 'spammed', happened_at, NULL)) AS spammed_at,
  COUNTIF(metric = 'opened') AS opens,
  COUNTIF(metric = 'clicked') AS clicks,
  ARRAY_AGG(failure_message IGNORE NULLS ORDER BY happened_at DESC LIMIT 1)[SAFE_OFFSET(0)] AS failure_message
FROM events
GROUP BY delivery_id
