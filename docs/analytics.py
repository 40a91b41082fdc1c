"""Answers the questions of ``docs/analytics.md`` from thirty days of generated data, and writes the answers there.

A query of the page is followed by a comment that says how its result is shown: ``<!-- table -->``, or
``<!-- bars FILE LABEL VALUE: TITLE -->`` and ``<!-- columns … -->`` for a picture. The result stands between that
comment and ``<!-- end -->``. ``tests/docs/test_analytics_page.py`` fails when a result is out of date.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from docs import charts

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

PAGE: Final = Path(__file__).with_name("analytics.md")
# The page's numbers are those of this month.
LAST_DAY: Final = date(2026, 10, 31)
# The dataset as the page's queries name it: that of the local stack.
DATASET: Final = "customerio"

_QUERY = re.compile(
    r"^```sql\n(?P<sql>.*?)^```\n\n<!-- (?P<shown>.*?) -->\n(?P<result>.*?)<!-- end -->$", re.MULTILINE | re.DOTALL
)
_PICTURE = re.compile(r"(?P<form>bars|columns) (?P<file>\S+) (?P<label>\w+) (?P<value>\w+): (?P<title>.+)")
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)

type Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Query:
    """One query of the page.

    Args:
        heading: The heading it stands below.
        sql: GoogleSQL that reads the dataset ``customerio``.
        shown: The comment behind it.
        result: What the page shows as its result; empty for a picture.
    """

    heading: str
    sql: str
    shown: str
    result: str


def queries(page: str) -> Iterator[Query]:
    """Every query of the page, in order."""
    for found in _QUERY.finditer(page):
        heading = _HEADING.findall(page[: found.start()])[-1]
        yield Query(heading, found["sql"], found["shown"], found["result"])


def rows(client: "Client", query: Query, dataset: str = DATASET) -> Rows:
    """Ask one query of the page of a dataset."""
    sql = query.sql.replace(f"{DATASET}.", f"{dataset}.")
    return [dict(row.items()) for row in client.query_and_wait(sql)]


def table(result: Rows) -> str:
    """Write a result as a Markdown table."""
    names = list(result[0])
    numbers = {name for name in names if all(isinstance(row[name], int | float | None) for row in result)}
    lines = [names, ["---:" if name in numbers else "---" for name in names]]
    lines += [[_text(row[name]) for name in names] for row in result]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def files(client: "Client", page: str, dataset: str = DATASET) -> dict[Path, str]:
    """Answer every query. Returns the page and its pictures, each by its path."""
    made: dict[Path, str] = {}

    def answered(found: re.Match[str]) -> str:
        query = Query("", found["sql"], found["shown"], found["result"])
        result = rows(client, query, dataset)
        picture = _PICTURE.fullmatch(query.shown)
        if picture is None:
            return found.group().replace(f"{query.shown} -->\n{query.result}", f"{query.shown} -->\n{table(result)}")
        draw = charts.bars if picture["form"] == "bars" else charts.columns
        points = [(_text(row[picture["label"]]), float(row[picture["value"]])) for row in result]
        made[PAGE.parent / picture["file"]] = draw(picture["title"], points)
        return found.group()

    return {PAGE: _QUERY.sub(answered, page), **made}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return f"{value:g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Answer the questions in a BigQuery of its own, and write the page and its pictures."""
    from docs.example_warehouse import example_warehouse  # noqa: PLC0415 - Google's client takes a second to import

    with example_warehouse(LAST_DAY, DATASET) as client:
        made = files(client, PAGE.read_text())
    for path, text in made.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
