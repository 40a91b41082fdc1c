"""Published limits of Customer.io's APIs.

Sizes are bytes of UTF-8. A kb is 1000 bytes, the stricter reading where the page does not say.
"""

from typing import Final

# Track API: https://docs.customer.io/integrations/api/track/
IDENTIFIER_BYTES: Final = 150
EVENT_NAME_BYTES: Final = 100
EVENT_DATA_BYTES: Final = 100_000
ATTRIBUTE_NAME_BYTES: Final = 150
ATTRIBUTE_VALUE_BYTES: Final = 1000
ATTRIBUTES_PER_PERSON: Final = 300
ITEM_BYTES: Final = 32_000
BATCH_BYTES: Final = 500_000

# App API: https://docs.customer.io/integrations/api/app/
RECIPIENTS_PER_EMAIL: Final = 15
ATTACHMENTS_BYTES: Final = 2_000_000
SEND_AT_SECONDS_AHEAD: Final = 90 * 24 * 3600
BROADCAST_AUDIENCE: Final = 10_000
BROADCAST_PAUSE_SECONDS: Final = 10.0

# Reporting webhooks: https://docs.customer.io/integrations/api/webhooks/
WEBHOOK_TIMEOUT_SECONDS: Final = 4.0
WEBHOOK_LONG_WAIT_SECONDS: Final = 3600.0
WEBHOOK_RETRY_SECONDS: Final = 7 * 24 * 3600.0
