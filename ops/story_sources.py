"""Reads what is known of jobs: outcomes and events in BigQuery, dead letters and pauses in Pub/Sub. Changes nothing."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ops import clients, deadlines, pauses
from ops.commands.dead_letters.batch import open_batch
from ops.commands.dead_letters.dead_letter import DeadLetter
from ops.commands.dead_letters.selection import Selection
from ops.errors import UnreachableError, sentence
from ops.story import Row, Step, Story, build_story
from ops.target import Target
from shared.redaction import loggable_key
from shared.telemetry import Telemetry

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

MAX_JOBS = 20
_MAX_ROWS = 5_000
_MAX_DEAD_LETTERS = 100_000


@dataclass(slots=True)
class Found:
    """What was found, and what could not be asked.

    Args:
        stories: One story a job, the latest job first; at most ``MAX_JOBS``.
        unavailable: For each source that did not answer, why.
    """

    stories: list[Story] = field(default_factory=list)
    unavailable: dict[str, str] = field(default_factory=dict)

    def ask[T](self, source: str, question: Callable[[], T]) -> T | None:
        """Ask a source; note it as unavailable, and return None, if it does not answer."""
        try:
            return question()
        except Exception as error:
            if (text := _sentence(error)) is None:
                raise
            self.unavailable[source] = text
            return None


def job_story(target: Target, job_id: str) -> Found:
    """Find one job by its id, or by the form of its id that logs and lists show."""
    names = {job_id, loggable_key(job_id)}
    return _stories(target, ("job_id", names), Selection(job_ids=frozenset(names)))


def person_stories(target: Target, person: str) -> Found:
    """Find the jobs about a person, given the person's key such as ``id:42``."""
    hashed = Telemetry("ops", "", target.project).hashed(person)
    return _stories(target, ("subject_hash", {hashed}), Selection(person=person))


def delivery_story(target: Target, delivery_id: str) -> Found:
    """Find the job that became a message, by the message's delivery id; its dead letters with it.

    A message that no job of ours led to has a story of its events alone.
    """
    found = _stories(target, ("delivery_id", {delivery_id}), None)
    if not found.stories and "BigQuery" not in found.unavailable:
        events = found.ask("BigQuery", lambda: _events(target, {delivery_id}))
        found.stories = [build_story("", [], events)] if events else []
    return found


def _stories(target: Target, by: tuple[str, set[str]], selection: Selection | None) -> Found:
    found = Found()
    # Side by side, so that an outage of both takes no longer to notice than one.
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(found.ask, "Pub/Sub", lambda: _dead_letters(target, selection)) if selection else None
        outcomes = found.ask("BigQuery", lambda: _outcomes(target, *by)) or []
        jobs = frozenset(str(row["job_id"]) for row in outcomes)
        if asked is None and jobs:
            asked = threads.submit(found.ask, "Pub/Sub", lambda: _dead_letters(target, Selection(job_ids=jobs)))
        letters = (asked.result() if asked else None) or []
    deliveries = {str(row["delivery_id"]) for row in outcomes if row["delivery_id"]}
    events = found.ask("BigQuery", lambda: _events(target, deliveries)) or []
    names = {loggable_key(letter.job_id): letter.job_id for letter in letters}
    names = {loggable_key(str(row["job_id"])): str(row["job_id"]) for row in outcomes} | names
    stories = [_story(name, outcomes, events, letters) for name in names.values()]
    stories.sort(key=lambda story: story.steps[-1].at, reverse=True)
    found.stories = [_with_what_it_waits_for(target, story, found) for story in stories[:MAX_JOBS]]
    return found


def _story(job_id: str, outcomes: Iterable[Row], events: Iterable[Row], letters: Iterable[DeadLetter]) -> Story:
    names = {job_id, loggable_key(job_id)}
    own = [row for row in outcomes if row["job_id"] in names]
    deliveries = {row["delivery_id"] for row in own}
    return build_story(
        job_id,
        own,
        [event for event in events if event["delivery_id"] in deliveries],
        [letter for letter in letters if letter.job_id in names],
    )


def _with_what_it_waits_for(target: Target, story: Story, found: Found) -> Story:
    """Add that the job waits for its next attempt, and whether its subscription is paused."""
    if not (lane := story.waits_in):
        return story
    step = Step(datetime.now(UTC), "waiting", f"for its next attempt in lane {lane}", {"lane": lane})
    if paused := found.ask("Pub/Sub", lambda: _pause(target, story.kind)):
        step = replace(step, what="paused", detail=f"{step.detail}: {paused}")
    return replace(story, steps=[*story.steps, step])


def _pause(target: Target, kind: str) -> str:
    """A sentence about the pause of a kind of jobs; empty if it is pushed."""
    client = clients.subscriber(target)
    try:
        state = pauses.of_kinds(pauses.lanes(client, target, [kind])).get(kind)
        return pauses.sentence(state) if state else ""
    finally:
        client.transport.close()  # type: ignore[no-untyped-call]


def _dead_letters(target: Target, selection: Selection) -> list[DeadLetter]:
    wait = deadlines.DEFAULT_PULL_WAIT_SECONDS
    with open_batch(target, pauses.KINDS, selection, wait=wait, limit=_MAX_DEAD_LETTERS) as batch:
        return list(batch.matching)


def _outcomes(target: Target, column: str, values: set[str]) -> list[Row]:
    # The column is a word of ours; values are parameters.
    query = f"""
        SELECT * FROM `{target.project}.{target.dataset}.job_outcomes`
        WHERE {column} IN UNNEST(@values) ORDER BY settled_at DESC LIMIT {_MAX_ROWS}
    """  # noqa: S608
    rows = _query(target, query, values)
    if column != "delivery_id" or not rows:
        return rows
    # Its other attempts have no delivery id.
    return _outcomes(target, "job_id", {str(row["job_id"]) for row in rows})


def _events(target: Target, deliveries: set[str]) -> list[Row]:
    query = f"""
        SELECT event_id, metric, object_type, event_time, received_at, delivery_id, failure_message
        FROM `{target.project}.{target.dataset}.events_deduplicated`
        WHERE delivery_id IN UNNEST(@values) LIMIT {_MAX_ROWS}
    """  # noqa: S608
    return _query(target, query, deliveries) if deliveries else []


def _query(target: Target, query: str, values: set[str]) -> list[Row]:
    from google.cloud.bigquery import DEFAULT_RETRY, ArrayQueryParameter, QueryJobConfig  # noqa: PLC0415

    client: Client = clients.bigquery(target)
    retry = DEFAULT_RETRY.with_timeout(deadlines.RETRY_SECONDS)
    config = QueryJobConfig(query_parameters=[ArrayQueryParameter("values", "STRING", sorted(values))])
    try:
        job = client.query(query, job_config=config, timeout=deadlines.RETRY_SECONDS, retry=retry, job_retry=None)
        rows: Any = job.result(timeout=deadlines.TRACE_QUERY_SECONDS, retry=retry, job_retry=None)
        return [dict(row) for row in rows]
    finally:
        client.close()  # type: ignore[no-untyped-call]


def _sentence(error: Exception) -> str | None:
    from concurrent.futures import TimeoutError as QueryTimeoutError  # noqa: PLC0415

    from requests import RequestException  # noqa: PLC0415

    if isinstance(error, RequestException | QueryTimeoutError | TimeoutError):
        return sentence(UnreachableError(f"it does not answer ({type(error).__name__})."))
    return sentence(error)
