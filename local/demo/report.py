"""The demo's tables, which fit 80 columns, and the sums that have to hold."""

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table

from local.demo.jobs import bad_jobs, good_jobs
from local.demo.snapshot import Snapshot
from shared.topology import topology

DeadLetters = Mapping[str, Sequence[Mapping[str, str]]]


def report(snapshot: Snapshot, dead_letters: DeadLetters) -> RenderableType:
    """Show the jobs by outcome, what Customer.io saw, the events that came back, and the dead letters."""
    return Group(_jobs(snapshot), _customerio(snapshot), _events(snapshot), _dead_letters(dead_letters))


def imbalances(snapshot: Snapshot, dead_letters: DeadLetters, published: int) -> list[str]:
    """Return a sentence for every sum that does not hold."""
    good = Counter(kind for kind, _ in good_jobs())
    bad = Counter(job.topic.removeprefix("cio-") for job in bad_jobs())
    wrong = []

    def expect(what: str, found: int, wanted: int) -> None:
        if found != wanted:
            wrong.append(f"{what}: {found} instead of {wanted}")

    expect("jobs published", published, sum(good.values()) + sum(bad.values()))
    refused = 1  # one identify job, by Customer.io, until the replay
    for kind in good:
        outcomes = snapshot.outcomes.get(kind, Counter())
        here = refused if kind == "identify" else 0
        expect(f"{kind} jobs dead-lettered", outcomes["dead_lettered"], bad[kind] + here)
        expect(f"dead letters of {kind}", len(dead_letters[kind]), bad[kind] + here)
        done = outcomes["applied"] + outcomes["unchanged"] + outcomes["already_done"]
        expect(f"{kind} jobs done", done, good[kind] - here)
    counts = snapshot.counts
    expect("messages sent at Customer.io", sum(counts["sends"].values()), good["send"])
    expect("broadcasts at Customer.io", counts["broadcasts"], good["broadcast"])
    expect("events at Customer.io", counts["events_applied"], good["track"])
    expect("rows in BigQuery", snapshot.rows, snapshot.webhooks_sent)
    return wrong


def _jobs(snapshot: Snapshot) -> Table:
    table = Table(title="Jobs", title_justify="left")
    table.add_column("kind")
    for heading in ("settled", "applied", "unchanged", "dead-lettered", "pushes"):
        table.add_column(heading, justify="right")
    for kind in topology().topics:
        outcomes = snapshot.outcomes.get(kind, Counter())
        if topology().topics[kind].rate is None:
            continue  # an event or an outcome, which is no job
        row = [sum(outcomes.values()), outcomes["applied"], outcomes["unchanged"], outcomes["dead_lettered"]]
        table.add_row(kind, *map(str, [*row, snapshot.attempts[kind]]))
    return table


def _customerio(snapshot: Snapshot) -> Table:
    table = Table(title="At Customer.io", title_justify="left")
    table.add_column("request")
    table.add_column("answers")
    for route, answers in sorted(snapshot.counts["requests"].items()):
        table.add_row(route, "  ".join(f"{status}: {number}" for status, number in sorted(answers.items())))
    sends = "  ".join(f"{channel}: {number}" for channel, number in sorted(snapshot.counts["sends"].items()))
    table.add_row("messages sent", sends)
    table.add_row("webhooks sent", str(snapshot.webhooks_sent))
    return table


def _events(snapshot: Snapshot) -> Table:
    table = Table(title="Events in BigQuery", title_justify="left")
    table.add_column("event")
    table.add_column("rows", justify="right")
    table.add_column("why it failed")
    for (channel, metric, reason), number in sorted(snapshot.events.items()):
        table.add_row(f"{channel} {metric}", str(number), reason)
    return table


def _dead_letters(dead_letters: DeadLetters) -> Table:
    table = Table(title="Dead letters", title_justify="left")
    for heading in ("kind", "class", "what is wrong"):
        table.add_column(heading)
    for kind, found in dead_letters.items():
        for attributes in found:
            field, message = attributes.get("field", ""), attributes.get("message", "")
            table.add_row(kind, attributes.get("class", ""), f"{field}: {message}" if field else message)
    return table
