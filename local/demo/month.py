"""``make demo-data``: thirty days of jobs and messages in the running stack's BigQuery, for an analyst to learn on."""

import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any

from google.api_core.exceptions import GoogleAPIError
from google.cloud.bigquery import Client
from google.cloud.bigquery.enums import AutoRowIDs
from requests import RequestException
from typer import BadParameter

from local import bigquery, deadlines
from local.demo.history import DAYS, History, history
from ops.target import Where
from shared.events import to_row
from shared.outcome_message import outcome_row

_ROWS_PER_REQUEST = 1_000
_HINT = """{events:,} events and {outcomes:,} outcomes of the {days} days until {last_day} are in {dataset}.
docs/analytics.md asks them ten questions. They are gone when the stack stops."""


class MonthError(Exception):
    """The data cannot be made. The text is for the person at the terminal."""


def fill(client: Client, dataset: str, made: History) -> None:
    """Insert a history into the tables of a dataset.

    Raises:
        MonthError: if BigQuery does not answer, or refuses a row.
    """
    _insert(client, f"{dataset}.events", (to_row(body, received_at) for body, received_at in made.events))
    _insert(client, f"{dataset}.job_outcomes", map(outcome_row, made.outcomes))


def _insert(client: Client, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    for batch in batched(rows, _ROWS_PER_REQUEST, strict=False):
        # Rows that come twice change nothing: the views drop the second.
        try:
            refused = client.insert_rows_json(
                f"{client.project}.{table}",
                batch,
                row_ids=AutoRowIDs.DISABLED,
                retry=None,  # type: ignore[arg-type]
                timeout=deadlines.HTTP_CALL_SECONDS,
            )
        except (RequestException, GoogleAPIError) as error:
            raise MonthError(
                f"BigQuery does not take rows of {table} ({type(error).__name__}): start the stack with `make run`."
            ) from None
        if refused:
            raise MonthError(f"BigQuery refused rows of {table}: stop the stack, then start it with `make run`.")


def main() -> int:
    """Fill the running stack's dataset with the thirty days that ended yesterday. Returns the exit status."""
    try:
        environment = Where().target().environment
        last_day = (datetime.now(UTC) - timedelta(days=1)).date()
        with _client(environment) as client:
            made = history(last_day)
            fill(client, environment["BIGQUERY_DATASET"], made)
    except (MonthError, BadParameter) as error:
        print(error, file=sys.stderr)
        return 1
    sizes = {"events": len(made.events), "outcomes": len(made.outcomes)}
    print(_HINT.format(**sizes, days=DAYS, last_day=last_day, dataset=environment["BIGQUERY_DATASET"]))
    return 0


def _client(environment: Mapping[str, str]) -> Client:
    host = environment.get("BIGQUERY_EMULATOR_HOST")
    if not host:
        raise MonthError("No local BigQuery is known: start the stack with `make run`, then try again.")
    return bigquery.client(host, environment["GOOGLE_CLOUD_PROJECT"])
