"""archive: events of the events topic, one row each in BigQuery."""

from collections.abc import Mapping
from datetime import datetime

from ..events import NotAnEventError, event_row, read_event, row_id
from ..outcome import Done, Failed, Outcome, Retry
from ..pubsub.message import PushMessage
from ..pubsub.push import PushEndpoint
from ..settings import job_settings, required
from ..warehouse import BigQueryWarehouse, RowRejectedError, Warehouse, WarehouseUnavailableError
from .wiring import push_endpoint

TABLE = "events"


class Archive:
    """Settles events. One that is delivered again is the same row to BigQuery."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    async def __call__(self, delivery: PushMessage) -> Outcome:
        try:
            event = read_event(delivery.data)
        except NotAnEventError as error:
            return Failed(error_class="not_an_event", reason="not_an_event", message=str(error))
        row = event_row(event, delivery.data, _received_at(delivery))
        try:
            await self._warehouse.insert(row, row_id(delivery.data))
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
                status=503, reason=error.reason, upstream_status=error.status, hold=error.hold, subject=event.person
            )
        return Done(subject=event.person)


def endpoint(environment: Mapping[str, str]) -> PushEndpoint:
    """The function as its environment describes it; a missing variable raises ``SettingsError``."""
    project = job_settings(environment).project
    dataset = required(environment, "BIGQUERY_DATASET", "the dataset that holds the table of events")
    return push_endpoint("events", Archive(BigQueryWarehouse(f"{project}.{dataset}.{TABLE}")), environment)


def _received_at(delivery: PushMessage) -> datetime:
    """When the webhook came in; of an event that somebody else published, when that was."""
    try:
        received_at = datetime.fromisoformat(delivery.attributes.get("received_at", ""))
    except ValueError:
        return delivery.first_published_at
    return received_at if received_at.tzinfo else delivery.first_published_at
