"""The simulator's limits: those of shared/jobs/limits.py, and the few where the simulator is stricter on purpose.

Customer.io writes "32kb" and "2 MB" without saying whether a kilobyte has 1,000 or 1,024 bytes. The functions refuse
only what is too large either way; the simulator takes the smaller number, so that a job near the limit is seen to be
refused by Customer.io. Sizes are bytes of UTF-8.
"""

from typing import Final

# https://docs.customer.io/integrations/api/track/
MAX_ITEM_BYTES: Final = 32_000
MAX_BATCH_BYTES: Final = 500_000
MAX_V1_EVENT_DATA_BYTES: Final = 100_000
MAX_SEGMENT_IDS: Final = 1_000

# https://docs.customer.io/integrations/api/app/
MAX_ATTACHMENT_BYTES: Final = 2_000_000
MAX_ATTRIBUTE_LOOKUPS: Final = 100
DEFAULT_PAGE: Final = 50
MAX_PAGE: Final = 1_000
MAX_MEMBERSHIP_PAGE: Final = 30_000
APP_REQUESTS_PER_SECOND: Final = 10.0

# Far above every published limit: a larger body is refused before it is read to the end.
MAX_BODY_BYTES: Final = 16 << 20
