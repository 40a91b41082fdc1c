"""archive: events of the events topic, one row each in BigQuery."""

from ..attributes import decode_received_at
from ..events import NotAnEventError, event_row, read_event, row_id
from ..lifetime import Lifetime
from ..outcome import Done, Failed, Outcome, Retry
from ..pubsub.message import PushMessage
from ..pubsub.push import PushEndpoint
from ..settings import Settings
from ..warehouse import BigQueryWarehouse, RowRejectedError, Warehouse, WarehouseUnavailableError
from .wiring import push_endpoint

TABLE = "events"


class Archive:
    """Settles events. One that is delivered again is the same row to BigQuery."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    async def __call__(self, message: PushMessage) -> Outcome:
        try:
            event = read_event(message.data)
        except NotAnEventError as error:
            return Failed(error_class="not_an_event", reason="not_an_event", message=str(error))
        # An event that somebody else published came in when it was published.
        received_at = decode_received_at(message.attributes) or message.first_published_at
        try:
            await self._warehouse.insert(event_row(event, message.data, received_at), row_id(message.data))
        except RowRejectedError as error:
            return Failed(
                error_class="row_rejected",
                reason=error.reason,
                field=error.field,
                message=error.message,
                subject=event.person,
            )
        except WarehouseUnavailableError as error:
            return Retry(
                status=503,
                reason=error.reason,
                upstream_status=error.status,
                needs_operator=error.needs_operator,
                subject=event.person,
            )
        return Done(subject=event.person)


def endpoint(settings: Settings) -> PushEndpoint:
    """The function as its settings describe it."""
    table = f"{settings.project}.{settings.dataset}.{TABLE}"
    archive = Archive(BigQueryWarehouse(table, emulated=settings.bigquery_is_emulated))
    return push_endpoint(archive, settings, Lifetime())
