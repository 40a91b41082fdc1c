"""archive: Customer.io's events and the outcomes of jobs, one row each in BigQuery."""

from ..attributes import decode_received_at
from ..events import NotAnEventError, event_row, read_event, row_id
from ..lifetime import Lifetime
from ..outcome import Failed, Outcome
from ..outcome_message import NotAnOutcomeError, OutcomeMessage, outcome_row, outcome_row_id
from ..pubsub.message import PushMessage
from ..pubsub.push import PushEndpoint
from ..settings import Settings
from ..topology import topology
from ..warehouse import BigQueryWarehouse, Warehouse
from . import rows
from .wiring import push_endpoint, topic_endpoint


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
        row = event_row(event, message.data, received_at)
        return await rows.insert(self._warehouse, row, row_id(message.data), subject=event.person)


class OutcomeArchive:
    """Settles outcomes of jobs. One that is delivered again is the same row to BigQuery."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    async def __call__(self, message: PushMessage) -> Outcome:
        try:
            outcome = OutcomeMessage.decode(message.data)
        except NotAnOutcomeError as error:
            return Failed(error_class="not_an_outcome", reason="not_an_outcome", message=str(error))
        return await rows.insert(self._warehouse, outcome_row(outcome), outcome_row_id(message.data))


def endpoint(settings: Settings) -> PushEndpoint:
    """The function as its settings describe it. It takes two topics, each with dead letters of its own."""
    lifetime, dataset = Lifetime(), f"{settings.project}.{settings.dataset}"
    events = BigQueryWarehouse(f"{dataset}.events", emulated=settings.bigquery_is_emulated)
    outcomes = BigQueryWarehouse(f"{dataset}.job_outcomes", emulated=settings.bigquery_is_emulated)
    dead_letters = settings.outcomes_dead_letter_topic
    other = topic_endpoint(OutcomeArchive(outcomes), "outcomes", dead_letters, settings, lifetime)
    return push_endpoint(Archive(events), settings, lifetime, others={topology().topics["outcomes"].name: other})
