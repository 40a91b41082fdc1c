"""The rows of BigQuery that are about somebody, found by marks alone."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ops import clients, deadlines
from ops.target import Target
from shared.jobs.operation import person_key
from shared.ledger.protocol import hashed
from shared.receipt import MAX_DELIVERIES, Receipt

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

_FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


def _is(kind: str, column: str) -> str:
    """SQL that compares a column with the marks, which are computed as in ``shared/forgetting.py``."""
    return f"TO_HEX(SHA256(CONCAT(@prefix, '{kind}:', {column}))) IN UNNEST(@marks)"


# The profile's own identifiers. An address in a row may be somebody else's too, so nothing is learned from that row.
_OWN = " OR ".join(
    (
        _is("id", "person_id"),
        _is("id", "customer_id"),
        _is("cio_id", "person_cio_id"),
    )
)
_EVENTS = " OR ".join(
    (
        _OWN,
        _is("email", "LOWER(person_email)"),
        _is("email", "LOWER(email_address)"),
        _is("email", "LOWER(recipient)"),
        _is("phone", "recipient"),
        "delivery_id IN UNNEST(@deliveries)",
    )
)
_OUTCOMES = "subject_hash IN UNNEST(@subjects) OR delivery_id IN UNNEST(@deliveries)"
_TABLES = {"events": ("received_at", _EVENTS), "job_outcomes": ("settled_at", _OUTCOMES)}


class Rows:
    """Rows about the person of one receipt.

    Args:
        target: Names project and dataset.
        receipt: Holds the marks; identifiers and deliveries that rows tell are added to it.
    """

    def __init__(self, target: Target, receipt: Receipt) -> None:
        self._target = target
        self._receipt = receipt
        self._client: Client = clients.bigquery(target)
        self._dataset = f"{target.project}.{target.dataset}"

    def close(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]

    @property
    def has_streaming_buffer(self) -> bool:
        """Whether rows cannot be deleted for a while after they were inserted."""
        return not self._target.environment.get("BIGQUERY_EMULATOR_HOST")

    def learn(self) -> None:
        """Add to the receipt what rows tell: further identifiers of the same profile, and its messages."""
        found = self._query(
            f"SELECT DISTINCT person_id, person_cio_id, person_email, email_address FROM `{self._dataset}.events` "  # noqa: S608
            f"WHERE ({_OWN}) AND received_at < @before"
        )
        columns = {"person_id": "id", "person_cio_id": "cio_id", "person_email": "email", "email_address": "email"}
        keys = [person_key(kind, row[column]) for row in found for column, kind in columns.items() if row[column]]
        self._receipt.learn(self._target.project, keys)
        messages = " UNION DISTINCT ".join(
            f"SELECT delivery_id FROM `{self._dataset}.{table}` "  # noqa: S608
            f"WHERE ({condition}) AND {time} < @before AND delivery_id IS NOT NULL"
            for table, (time, condition) in _TABLES.items()
        )
        rows = self._query(f"SELECT delivery_id FROM ({messages}) LIMIT {MAX_DELIVERIES}")  # noqa: S608
        self._receipt.remember(str(row["delivery_id"]) for row in rows)

    def claims(self) -> list[str]:
        """Hashed keys of the ledger's claims for sends to the person. A job id that outcomes hash is not found."""
        rows = self._query(
            f"SELECT DISTINCT function, job_id FROM `{self._dataset}.job_outcomes` "  # noqa: S608
            f"WHERE kind = 'send' AND ({_OUTCOMES}) AND settled_at < @before"
        )
        return [hashed(f"{row['function']}:{row['job_id']}") for row in rows]

    def count(self) -> dict[str, int]:
        """Number of rows by table."""
        counts = {}
        for table, (time, condition) in _TABLES.items():
            sql = f"SELECT COUNT(*) AS n FROM `{self._dataset}.{table}` WHERE ({condition}) AND {time} < @before"  # noqa: S608
            counts[table] = int(self._query(sql)[0]["n"])
        return counts

    def delete(self) -> dict[str, int]:
        """Delete the rows that can be deleted by now; how many, by table."""
        from google.api_core.exceptions import BadRequest  # noqa: PLC0415

        counts = {}
        for table, (time, condition) in _TABLES.items():
            minutes = f"{deadlines.STREAMING_BUFFER_MINUTES:.0f}"
            old = f"AND {time} < TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL {minutes} MINUTE)"
            sql = (
                f"DELETE FROM `{self._dataset}.{table}` WHERE ({condition}) AND {time} < @before "  # noqa: S608
                f"{old if self.has_streaming_buffer else ''}"
            )
            try:
                job = self._client.query(sql, job_config=self._config())
                job.result(timeout=deadlines.TRACE_QUERY_SECONDS)
            except BadRequest as error:
                if "streaming buffer" not in str(error):
                    raise
                counts[table] = 0  # a row came late with an early time: it is deleted when the receipt is due
            else:
                counts[table] = int(job.num_dml_affected_rows or 0)
        return counts

    def _query(self, sql: str) -> Sequence[Mapping[str, Any]]:
        rows: Any = self._client.query(sql, job_config=self._config()).result(timeout=deadlines.TRACE_QUERY_SECONDS)
        return [dict(row.items()) for row in rows]

    def _config(self) -> Any:
        from google.cloud.bigquery import ArrayQueryParameter, QueryJobConfig, ScalarQueryParameter  # noqa: PLC0415

        receipt = self._receipt
        lists = {"marks": receipt.marks, "subjects": receipt.subjects, "deliveries": receipt.deliveries}
        return QueryJobConfig(
            query_parameters=[
                *(ArrayQueryParameter(name, "STRING", values) for name, values in lists.items()),
                ScalarQueryParameter("prefix", "STRING", f"{self._target.project}/"),
                ScalarQueryParameter("before", "TIMESTAMP", receipt.restored_at or _FOREVER),
            ]
        )
