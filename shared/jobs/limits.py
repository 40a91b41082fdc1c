"""Customer.io's published limits. Sizes are bytes of UTF-8.

Source, where no other is named: https://docs.customer.io/integrations/api/track/, "Limits" and the schemas of each
call.
"""

ID_BYTES = 150
ATTRIBUTE_NAME_BYTES = 150
# Of people and objects. The attributes of events have no limit but the item's.
ATTRIBUTE_VALUE_BYTES = 1000
ATTRIBUTES = 300
EVENT_NAME_BYTES = 100
# "32kb" may be 32,000 or 32,768 bytes. Only what is too large either way is refused here; Customer.io judges the rest.
ITEM_BYTES = 32 * 1024

# Not published. Far above any real job, and below what the parsers on the way to Customer.io and back can follow.
NESTING = 500

# What Track v2 takes as a device's platform, and as the name of a delivery's event.
PLATFORMS = ("ios", "android")
DELIVERY_METRICS = ("opened", "converted", "delivered")

# Seconds between 2001 and 5138. Milliseconds lie above; customerio-ruby takes the same range.
EARLIEST_TIMESTAMP = 999_999_999
LATEST_TIMESTAMP = 100_000_000_000

# https://docs.customer.io/integrations/api/app/#operation/sendEmail
# Across to and bcc; cc is newer and in no published limit, so Customer.io judges it.
EMAIL_RECIPIENTS = 15
ATTACHMENT_BYTES = 2 * 1024 * 1024
# https://docs.customer.io/integrations/api/app/#operation/triggerBroadcast
BROADCAST_RECIPIENTS = 10_000
