-- Opt-outs. Customer.io reports them in two shapes: with the message that was unsubscribed from (recipient), and as a
-- change of the person (email_address). Topics come as text in data.content, where the webhook has Body Content on.
WITH events AS (
  SELECT
    *,
    COALESCE(event_time, received_at) AS happened_at,
    COALESCE(NULLIF(person_cio_id, ''), NULLIF(person_id, ''), NULLIF(customer_id, ''), email_address, recipient) AS person,
    JSON_VALUE(raw.data.content) AS topics
  FROM `${project}.${dataset}.events_deduplicated`
  WHERE metric IN ('unsubscribed', 'subscribed', 'cio_subscription_preferences_changed')
),
returns AS (
  SELECT person, happened_at AS returned_at
  FROM events
  WHERE metric = 'subscribed'
),
opt_outs AS (
  SELECT *, IF(metric = 'unsubscribed', 'everything', 'topics') AS scope
  FROM events
  WHERE metric = 'unsubscribed'
    OR (metric = 'cio_subscription_preferences_changed' AND REGEXP_CONTAINS(topics, r':\s*false'))
)
SELECT
  opt_outs.event_id,
  ANY_VALUE(opt_outs.happened_at) AS unsubscribed_at,
  ANY_VALUE(opt_outs.scope) AS scope,
  ANY_VALUE(IF(opt_outs.scope = 'topics', opt_outs.topics, NULL)) AS topics,
  ANY_VALUE(opt_outs.object_type) AS object_type,
  ANY_VALUE(opt_outs.person_id) AS person_id,
  ANY_VALUE(opt_outs.person_cio_id) AS person_cio_id,
  ANY_VALUE(COALESCE(opt_outs.email_address, opt_outs.recipient, opt_outs.person_email)) AS address,
  ANY_VALUE(opt_outs.delivery_id) AS delivery_id,
  ANY_VALUE(opt_outs.campaign_id) AS campaign_id,
  ANY_VALUE(opt_outs.broadcast_id) AS broadcast_id,
  ANY_VALUE(opt_outs.newsletter_id) AS newsletter_id,
  ANY_VALUE(opt_outs.transactional_message_id) AS transactional_message_id,
  -- The first time the person subscribed again, whatever to.
  MIN(returns.returned_at) AS returned_at
FROM opt_outs
LEFT JOIN returns ON returns.person = opt_outs.person AND returns.returned_at > opt_outs.happened_at
GROUP BY opt_outs.event_id
