-- Why messages bounced. Customer.io passes the provider's words on and has no field for hard or soft; SMTP's codes have
-- it (RFC 3463): 5 is permanent, 4 is temporary. Addresses in the words are masked, which also lets equal reasons group.
WITH bounces AS (
  SELECT
    DATE(COALESCE(event_time, received_at)) AS day,
    object_type,
    delivery_id,
    person_id,
    LOWER(REGEXP_EXTRACT(recipient, r'@([^@>\s]+)')) AS domain,
    COALESCE(
      failure_message,
      (SELECT MIN(device.failure_message) FROM UNNEST(recipients) AS device)
    ) AS failure_message
  FROM `${project}.${dataset}.events_deduplicated`
  WHERE metric = 'bounced'
),
coded AS (
  SELECT
    *,
    REGEXP_EXTRACT(failure_message, r'\b([45][0-9][0-9])\b') AS smtp_code,
    REGEXP_EXTRACT(CONCAT(' ', failure_message, ' '), r'[^0-9.]([45]\.[0-9]{1,3}\.[0-9]{1,3})[^0-9.]') AS enhanced_code,
    REGEXP_REPLACE(failure_message, r'[^\s<>@]+@[^\s<>@]+', '(address)') AS reason
  FROM bounces
)
SELECT
  day,
  object_type,
  domain,
  CASE
    WHEN object_type != 'email' THEN 'unknown'
    WHEN STARTS_WITH(COALESCE(enhanced_code, smtp_code), '5') THEN 'permanent'
    WHEN STARTS_WITH(COALESCE(enhanced_code, smtp_code), '4') THEN 'temporary'
    ELSE 'unknown'
  END AS kind,
  smtp_code,
  enhanced_code,
  reason,
  COUNT(*) AS bounces,
  COUNT(DISTINCT delivery_id) AS messages,
  COUNT(DISTINCT person_id) AS people
FROM coded
GROUP BY day, object_type, domain, kind, smtp_code, enhanced_code, reason
