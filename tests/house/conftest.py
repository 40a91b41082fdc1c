from tests.customerio.conftest import upstream
from tests.webhook.conftest import pubsub_server

__all__ = ["pubsub_server", "upstream"]
