"""Customer.io's published limits. Sizes are bytes of UTF-8.

Source, where no other is named: https://docs.customer.io/integrations/api/track/, "Limits" and the schemas of each
call.
"""

MAX_ID_BYTES = 150
MAX_ATTRIBUTE_NAME_BYTES = 150
# For people and objects. An event's attributes have no limit but the item's.
MAX_ATTRIBUTE_VALUE_BYTES = 1000
MAX_ATTRIBUTES = 300
MAX_EVENT_NAME_BYTES = 100
# "32kb" may be 32,000 or 32,768 bytes. Only what is too large either way is refused here; Customer.io judges the rest.
MAX_ITEM_BYTES = 32 * 1024

# Our own limit. It lies far above any real job, and below the depth at which a JSON parser on the way gives up.
MAX_NESTING = 500

# Our own limits on the opening brackets and the commas of a message's data, judged before parsing. Those in texts
# count, as only parsing tells them apart. Two million empty lists fit into 4 MB and would hold up every other push for
# seconds; within these limits a job takes 20 ms of CPU. A broadcast names ten thousand people with their data, and
# shares its function with no other push.
MAX_BRACKETS = 20_000
MAX_COMMAS = 200_000
MAX_BROADCAST_BRACKETS = 200_000
MAX_BROADCAST_COMMAS = 1_000_000

# Our own limits on a message's data. Parsing takes memory and time in proportion to the data, so these are judged by
# length, before parsing. A Track item has 32 KB; eight times that leaves room for blanks and escapes. A send has 2 MB
# of attachments, which are 2.7 MB in base64, and its text.
MAX_TRACK_DATA_BYTES = 256 * 1024
MAX_SEND_DATA_BYTES = 4 * 1024 * 1024

# The platforms that Track v2 accepts for a device, and the names that it accepts for a delivery's event.
PLATFORMS = ("ios", "android")
DELIVERY_METRICS = ("opened", "converted", "delivered")

# Seconds between 2001 and 5138. Milliseconds lie above; customerio-ruby takes the same range.
MIN_TIMESTAMP = 999_999_999
MAX_TIMESTAMP = 100_000_000_000

# https://docs.customer.io/integrations/api/app/#operation/sendEmail: `to`, `cc` and `bcc` together.
MAX_EMAIL_RECIPIENTS = 15
# Our own limit, far above fifteen addresses with their names. Telling recipients apart takes time for each character.
MAX_RECIPIENT_CHARACTERS = 20_000
MAX_ATTACHMENT_BYTES = 2 * 1024 * 1024
# https://docs.customer.io/integrations/api/app/#operation/triggerBroadcast
MAX_BROADCAST_RECIPIENTS = 10_000
