-- How far the messages of a day came, by origin and channel. A message counts on the day (UTC) it was sent, or of its
-- first event while it was not, so an open of today changes the row of the day the message went out.
WITH messages AS (
  SELECT
    *,
    DATE(COALESCE(sent_at, first_event_at)) AS day,
    CASE
      WHEN transactional_message_id IS NOT NULL THEN 'transactional_message'
      WHEN newsletter_id IS NOT NULL THEN 'newsletter'
      WHEN broadcast_id IS NOT NULL THEN 'broadcast'
      WHEN campaign_id IS NOT NULL THEN 'campaign'
      ELSE 'unknown'
    END AS origin,
    COALESCE(
      transactional_message_id,
      CAST(newsletter_id AS STRING),
      CAST(broadcast_id AS STRING),
      CAST(campaign_id AS STRING)
    ) AS origin_id
  FROM `${project}.${dataset}.messages`
)
SELECT
  day,
  origin,
  origin_id,
  object_type,
  COUNT(*) AS messages,
  COUNT(sent_at) AS sent,
  COUNT(delivered_at) AS delivered,
  COUNT(opened_at) AS opened,
  COUNT(opened_by_person_at) AS opened_by_person,
  COUNT(clicked_at) AS clicked,
  COUNT(clicked_by_person_at) AS clicked_by_person,
  COUNT(replied_at) AS replied,
  COUNT(converted_at) AS converted,
  COUNT(bounced_at) AS bounced,
  COUNT(dropped_at) AS dropped,
  COUNT(undeliverable_at) AS undeliverable,
  COUNT(failed_at) AS failed,
  COUNT(unsubscribed_at) AS unsubscribed,
  COUNT(spammed_at) AS spammed,
  SAFE_DIVIDE(COUNT(delivered_at), COUNT(sent_at)) AS delivery_rate,
  SAFE_DIVIDE(COUNT(opened_at), COUNT(delivered_at)) AS open_rate,
  SAFE_DIVIDE(COUNT(clicked_at), COUNT(delivered_at)) AS click_rate,
  SAFE_DIVIDE(COUNT(converted_at), COUNT(delivered_at)) AS conversion_rate,
  SAFE_DIVIDE(COUNT(bounced_at), COUNT(sent_at)) AS bounce_rate,
  SAFE_DIVIDE(COUNT(unsubscribed_at), COUNT(delivered_at)) AS unsubscribe_rate,
  SAFE_DIVIDE(COUNT(spammed_at), COUNT(delivered_at)) AS spam_rate
FROM messages
GROUP BY day, origin, origin_id, object_type
