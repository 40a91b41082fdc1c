"""The demo's table, and the sums that have to hold."""

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table

from local.demo.books import Books
from local.demo.jobs import bad_jobs, good_jobs
from shared.topology import topology

Letters = Mapping[str, Sequence[Mapping[str, str]]]


def report(books: Books, letters: Letters) -> RenderableType:
    """Jobs by kind and outcome; what Customer.io saw; what came back; what is left for the operator."""
    return Group(_jobs(books), _customerio(books), _events(books), _dead_letters(letters))


def imbalances(books: Books, letters: Letters, published: int) -> list[str]:
    """Every sum that does not hold, as a sentence."""
    good = Counter(kind for kind, _ in good_jobs())
    bad = Counter(job.topic.removeprefix("cio-") for job in bad_jobs())
    wrong = []

    def expect(what: str, found: int, wanted: int) -> None:
        if found != wanted:
            wrong.append(f"{what}: {found} instead of {wanted}")

    expect("jobs published", published, sum(good.values()) + sum(bad.values()))
    refused = 1  # one identify job, by Customer.io, until the replay
    for kind in good:
        outcomes = books.outcomes.get(kind, Counter())
        here = refused if kind == "identify" else 0
        expect(f"{kind} jobs dead-lettered", outcomes["dead_lettered"], bad[kind] + here)
        expect(f"dead letters of {kind}", len(letters[kind]), bad[kind] + here)
        done = outcomes["applied"] + outcomes["unchanged"] + outcomes["already_done"]
        expect(f"{kind} jobs done", done, good[kind] - here)
    counts = books.counts
    expect("messages sent at Customer.io", sum(counts["sends"].values()), good["send"])
    expect("broadcasts at Customer.io", counts["broadcasts"], good["broadcast"])
    expect("events at Customer.io", counts["events_applied"], good["track"])
    expect("rows in BigQuery", sum(books.rows.values()), books.webhooks_sent)
    return wrong


def _jobs(books: Books) -> Table:
    table = Table(title="jobs", title_justify="left")
    table.add_column("kind")
    for heading in ("settled", "applied", "unchanged", "dead-lettered", "pushes"):
        table.add_column(heading, justify="right")
    for kind in topology().topics:
        outcomes = books.outcomes.get(kind, Counter())
        if kind == "events":
            continue
        row = [sum(outcomes.values()), outcomes["applied"], outcomes["unchanged"], outcomes["dead_lettered"]]
        table.add_row(kind, *map(str, [*row, books.attempts[kind]]))
    return table


def _customerio(books: Books) -> Table:
    table = Table(title="at Customer.io", title_justify="left")
    table.add_column("request")
    table.add_column("answers")
    for route, answers in sorted(books.counts["requests"].items()):
        table.add_row(route, "  ".join(f"{status}: {number}" for status, number in sorted(answers.items())))
    sends = "  ".join(f"{channel}: {number}" for channel, number in sorted(books.counts["sends"].items()))
    table.add_row("messages sent", sends)
    table.add_row("webhooks sent", str(books.webhooks_sent))
    return table


def _events(books: Books) -> Table:
    table = Table(title="rows in BigQuery", title_justify="left")
    table.add_column("event")
    table.add_column("rows", justify="right")
    for event, number in sorted(books.rows.items()):
        table.add_row(event, str(number))
    return table


def _dead_letters(letters: Letters) -> Table:
    table = Table(title="dead letters", title_justify="left")
    for heading in ("kind", "class", "reason", "field", "message"):
        table.add_column(heading)
    for kind, found in letters.items():
        for letter in found:
            table.add_row(kind, *(letter.get(name, "") for name in ("class", "reason", "field", "message")))
    return table
