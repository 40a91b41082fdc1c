"""Every query of ``docs/analytics.md`` runs, its printed result is what it returns, and it finds its incident."""

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from docs import analytics, charts
from docs.analytics import LAST_DAY, PAGE, Query, Rows, queries
from local.bigquery import view_columns, views
from local.demo.history import DAYS, History, history
from local.demo.month import fill
from tests.docs.markdown import ROOT
from tests.warehouse.conftest import Emulator, dataset, emulator

__all__ = ["dataset", "emulator"]

TEXT = PAGE.read_text()
QUERIES = list(queries(TEXT))
OUTAGE_DAY, REFUSAL_DAY = date(2026, 10, 14), date(2026, 10, 22)


@pytest.fixture(scope="module")
def month() -> History:
    return history(LAST_DAY)


@pytest.fixture(scope="module")
def filled(emulator: Emulator, dataset: str, month: History) -> str:
    fill(emulator.client, dataset, month)
    return dataset


@pytest.fixture(scope="module")
def ask(emulator: Emulator, filled: str) -> Callable[[Query], Rows]:
    return lambda query: analytics.rows(emulator.client, query, filled)


def test_the_results_on_the_page_are_what_its_queries_return(emulator: Emulator, filled: str) -> None:
    made = analytics.files(emulator.client, TEXT, filled)
    assert [path.name for path, text in made.items() if path.read_text() != text] == [], "run make docs"
    assert {path.resolve() for path in made} == {PAGE, *(ROOT / "docs" / "pictures").iterdir()}


def test_there_are_ten_questions_and_every_query_shows_its_result() -> None:
    headings = re.findall(r"^## (\d+)\. .+\?$", TEXT, re.MULTILINE)
    assert headings == [str(number) for number in range(1, 11)]
    assert len(QUERIES) == TEXT.count("```sql")
    assert {query.heading.split(".")[0] for query in QUERIES} == set(headings)


def worst_share(rows: Rows) -> None:
    shares = {row["origin_id"]: row["by_a_person"] / row["opened"] for row in rows}
    assert shares["weekly-digest"] < 0.5
    assert shares["password-reset"] > 0.9


def bad_day(rows: Rows) -> None:
    assert rows[0]["day"] == REFUSAL_DAY
    assert rows[0]["delivered_percent"] < 85
    assert rows[1]["delivered_percent"] > 95


def one_column_stands_out(rows: Rows) -> None:
    shares = sorted(row["bounced_percent"] for row in rows)
    assert len(rows) == DAYS
    assert shares[-1] > 15
    assert shares[-2] < 5


def two_troubles(rows: Rows) -> None:
    provider, dead = rows[:2]
    assert (provider["domain"], provider["kind"], provider["days"]) == ("bigmail.example", "temporary", 1)
    assert (dead["domain"], dead["kind"], dead["enhanced_code"]) == ("oldmail.example", "permanent", "5.1.1")
    assert dead["bounces"] > 4 * rows[2]["bounces"]


def the_digest_drives_away(rows: Rows) -> None:
    assert rows[0]["message"] == "weekly-digest"
    assert rows[0]["unsubscribed_percent"] > 3 * rows[1]["unsubscribed_percent"]


def resets_are_opened_first(rows: Rows) -> None:
    medians = {row["message"]: row["half_within_minutes"] for row in rows}
    assert rows[0]["message"] == "password-reset"
    assert medians["password-reset"] < 5
    assert medians["weekly-digest"] > 120


def one_late_reset(rows: Rows) -> None:
    assert (rows[0]["day"], rows[0]["late"], rows[1]["late"]) == (OUTAGE_DAY, 1, 0)


def the_outage_is_seen(rows: Rows) -> None:
    slow = {row["hour"] for row in rows if row["minutes"] > 30}
    assert slow == {"13:00", "14:00"}


def nothing_is_unexplained(rows: Rows) -> None:
    found = {row["where_it_ended"]: row["sends"] for row in rows}
    assert found.keys() == {
        *(f"dead letter: {reason}" for reason in ("rejected", "expired", "unknown_outcome")),
        *(f"at Customer.io: {state}" for state in ("dropped", "bounced")),
    }


def a_template_is_gone(rows: Rows) -> None:
    assert (rows[0]["error_class"], rows[0]["status"], rows[0]["first"][:6]) == ("rejected", 404, "24 Oct")
    (expired,) = (row for row in rows if row["error_class"] == "expired")
    assert expired["first"] == expired["last"] == "14 Oct 15:05"


def a_few_get_far_too_much(rows: Rows) -> None:
    most = {row["in_their_fullest_week"]: row["people"] for row in rows}
    assert most["10 or more"] == 14
    assert most["1 to 2"] > 1_000
    assert most["6 to 9"] < 5


def retries_are_cheap(rows: Rows) -> None:
    assert [row["kind"] for row in rows] == ["send", "track", "identify", "sync"]
    assert all(1.0 < row["requests_per_job"] < 1.05 for row in rows)
    assert all(row["server_errors"] > 0 for row in rows)


LESSONS = [
    worst_share,
    bad_day,
    one_column_stands_out,
    two_troubles,
    the_digest_drives_away,
    resets_are_opened_first,
    one_late_reset,
    the_outage_is_seen,
    nothing_is_unexplained,
    a_template_is_gone,
    a_few_get_far_too_much,
    retries_are_cheap,
]


@pytest.mark.parametrize(
    ("query", "lesson"), list(zip(QUERIES, LESSONS, strict=True)), ids=[lesson.__name__ for lesson in LESSONS]
)
def test_a_query_finds_its_incident(ask: Callable[[Query], Rows], query: Query, lesson: Callable[[Rows], None]) -> None:
    lesson(ask(query))


def test_every_view_is_listed_with_columns_that_it_has() -> None:
    section = TEXT.partition("## The views")[2]
    listed = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+ \| [^|]+) \|", section, re.MULTILINE))
    assert listed.keys() == views().keys()
    for view, columns in listed.items():
        assert set(re.findall(r"`(\w+)`", columns)) <= {column.name for column in view_columns(view)}, view


def test_a_month_is_the_same_whenever_it_is_made_and_lies_in_its_days(month: History) -> None:
    assert history(LAST_DAY) == month
    begin = datetime.combine(LAST_DAY - timedelta(days=DAYS - 1), datetime.min.time(), UTC)
    times = [at for _, at in month.events]
    assert begin <= min(times)
    assert max(times) < begin + timedelta(days=DAYS)
    ids = [json.loads(body)["event_id"] for body, _ in month.events]
    assert len(set(ids)) == len(ids)


def test_a_message_is_sent_before_it_arrives_and_arrives_before_it_is_opened(month: History) -> None:
    lives: dict[str, list[str]] = {}
    for body, _ in sorted(month.events, key=lambda event: event[1]):
        event = json.loads(body)
        lives.setdefault(event["data"]["delivery_id"], []).append(event["metric"])
    order = ["dropped", "sent", "delivered", "bounced", "opened", "clicked", "unsubscribed", "converted"]
    assert all(life[0] in {"sent", "dropped"} for life in lives.values())
    assert all(order.index(a) <= order.index(b) or b == "opened" for life in lives.values() for a, b in pairwise(life))


@pytest.mark.parametrize("draw", [charts.bars, charts.columns])
def test_a_picture_is_titled_escaped_and_made_for_light_and_dark(draw: Callable[..., str]) -> None:
    svg = draw("A <title>", [("a & b", 1.0), ("c", 2.5), ("d", 0.0)])
    root = ET.fromstring(svg)
    texts = [element.text for element in root.iter() if element.text]
    assert {"A <title>", "a & b", "2.5"} <= set(texts)
    assert "prefers-color-scheme:dark" in svg
    widths = [float(rect.attrib["width"]) for rect in root.iter() if rect.tag.endswith("rect")]
    assert all(width > 0 for width in widths)
