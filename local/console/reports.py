"""The page's charts and the history of jobs, read from BigQuery's tables and views."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local import bigquery
from local.console.jobs import latency_text
from shared.outcome_message import OutcomeMessage

_STAGES = ("sent", "delivered", "opened", "clicked", "bounced", "unsubscribed")
_FUNNEL = """
    SELECT SUM(sent) AS sent, SUM(delivered) AS delivered, SUM(opened) AS opened, SUM(clicked) AS clicked,
      SUM(bounced) AS bounced, SUM(unsubscribed) AS unsubscribed
    FROM `{dataset}.delivery_funnel`
"""
# Upper ends of the columns of "time to open", in seconds. The local recipients take seconds, real ones hours.
_OPENED_WITHIN = (2, 5, 10, 20, 60)
_TIME_TO_OPEN = """
    SELECT TIMESTAMP_DIFF(opened_at, sent_at, SECOND) AS seconds
    FROM `{dataset}.messages` WHERE opened_at IS NOT NULL AND sent_at IS NOT NULL
"""
_BOUNCES = """
    SELECT domain, reason, SUM(bounces) AS bounces
    FROM `{dataset}.bounce_reasons` GROUP BY domain, reason ORDER BY bounces DESC LIMIT 5
"""
_LATENCY = """
    SELECT kind, p50_seconds, p95_seconds FROM `{dataset}.job_latency`
    QUALIFY ROW_NUMBER() OVER (PARTITION BY kind ORDER BY hour DESC) = 1 ORDER BY kind
"""
_OUTCOMES = "SELECT * FROM `{dataset}.job_outcomes` ORDER BY settled_at DESC LIMIT 500"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart.

    Args:
        label: Text beside the bar.
        share: Its length, from 0 to 1.
        value: Text behind the bar: what it stands for.
        note: Text behind the value, such as a percentage.
    """

    label: str
    share: float
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Reports:
    """The bars of each chart, and the latest outcomes of jobs. A chart without data has no bars."""

    funnel: Sequence[Bar]
    latency: Sequence[Bar]
    time_to_open: Sequence[Bar]
    bounces: Sequence[Bar]
    outcomes: Sequence[OutcomeMessage]


class ReportReader:
    """Runs the queries with Google's own client. Its calls block.

    Args:
        environment: Variables of ``stack.env``.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        project = environment["GOOGLE_CLOUD_PROJECT"]
        self._dataset = f"{project}.{environment['BIGQUERY_DATASET']}"
        self._client = bigquery.client(environment["BIGQUERY_EMULATOR_HOST"], project)

    def read(self) -> Reports:
        """Run every query.

        Raises:
            GoogleAPIError: if BigQuery does not answer.
        """
        counted = self._rows(_FUNNEL)[0]
        latencies = {str(row["kind"]): (row["p50_seconds"], row["p95_seconds"]) for row in self._rows(_LATENCY)}
        bounces = [
            (f"{row['domain'] or 'unknown domain'}: {row['reason'] or 'no reason given'}", int(row["bounces"]))
            for row in self._rows(_BOUNCES)
        ]
        return Reports(
            funnel=funnel_bars({stage: int(counted[stage] or 0) for stage in _STAGES}),
            latency=latency_bars(latencies),
            time_to_open=columns([int(row["seconds"]) for row in self._rows(_TIME_TO_OPEN)]),
            bounces=bars(bounces),
            outcomes=[_outcome(row) for row in self._rows(_OUTCOMES)],
        )

    def _rows(self, query: str) -> list[Any]:
        return list(self._client.query_and_wait(query.format(dataset=self._dataset)))


def funnel_bars(counted: Mapping[str, int]) -> list[Bar]:
    """Draw each stage as a share of what was sent. Without a message there is no bar."""
    sent = counted["sent"]
    if not any(counted.values()):
        return []
    return [
        Bar(stage, count / max(sent, count, 1), str(count), f"{count / sent:.0%}" if sent and stage != "sent" else "")
        for stage, count in counted.items()
    ]


def latency_bars(seconds: Mapping[str, tuple[float, float]]) -> list[Bar]:
    """Draw each kind's median as a share of the largest, with its 95th percentile in words."""
    largest = max((median for median, _ in seconds.values()), default=0.0)
    return [
        Bar(kind, median / largest if largest else 0.0, latency_text(median), f"95 % within {latency_text(high)}")
        for kind, (median, high) in seconds.items()
    ]


def columns(seconds: Sequence[int]) -> list[Bar]:
    """Count openings by how many seconds they took."""
    if not seconds:
        return []
    ends = [*_OPENED_WITHIN, None]
    starts = [0, *_OPENED_WITHIN]
    counted = [
        (
            f"over {start} s" if end is None else f"{start} to {end} s",
            sum(start <= each and (end is None or each < end) for each in seconds),
        )
        for start, end in zip(starts, ends, strict=True)
    ]
    return bars(counted)


def bars(counted: Sequence[tuple[str, int]]) -> list[Bar]:
    """Draw counts as shares of the largest."""
    largest = max((count for _, count in counted), default=0)
    return [Bar(label, count / largest if largest else 0.0, str(count)) for label, count in counted]


def _outcome(row: Any) -> OutcomeMessage:
    columns = {**row, "at": row["settled_at"]}
    known = {name: columns.get(name) for name in OutcomeMessage.__struct_fields__}
    return OutcomeMessage(**{name: value for name, value in known.items() if value is not None})
