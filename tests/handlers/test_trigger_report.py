"""What becomes of a broadcast after its trigger was accepted: read, told, and never triggered again."""

import asyncio

import pytest
from aiohttp import web

from shared import deadlines
from shared.ledger import LedgerError
from tests.customerio.conftest import Answer, reset, status
from tests.handlers.conftest import Make
from tests.handlers.handler_helpers import ADDRESS, Around, Function, Push, lines

JOB = Push({"broadcast_id": 12, "emails": [ADDRESS, "ada@example.com"]}, {"job_id": "j-1"})
TRIGGER = "/v1/campaigns/12/triggers/7"
ACCEPTED = status(200, {"id": 7})
WAITING = status(200, {"id": 7, "processed_at": None})
PROCESSED = status(200, {"id": 7, "processed_at": 1_777_636_800})


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "TRIGGER_MIN_PAUSE_SECONDS", 0.01)


async def test_a_processed_broadcast_without_errors_is_done(broadcast: Function, around: Around) -> None:
    around.upstream.then(ACCEPTED)
    around.upstream.answers_to_reads += [WAITING, WAITING, PROCESSED, status(200, {"errors": [], "next": ""})]
    assert await broadcast.push(JOB) == 204
    assert around.upstream.reads == [TRIGGER] * 3 + [f"{TRIGGER}/errors?limit=100"]
    assert around.pubsub.published == []


async def test_people_who_were_refused_are_a_dead_letter_that_triggers_nothing(
    broadcast: Function, around: Around, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = [f"line 1: no such person {ADDRESS}", "line 2: no such person", "line 3: no such person", "odd"]
    around.upstream.then(ACCEPTED)
    around.upstream.answers_to_reads += [PROCESSED, status(200, {"errors": errors})]
    assert await broadcast.push(JOB) == 204
    letter = around.dead_letter()
    assert (letter["class"], letter["reason"]) == ("audience_refused", "audience_refused")
    assert letter["message"] == (
        "triggered, and 4 lines of the audience were refused: "
        "line 1: no such person [redacted]; lines 2, 3: no such person; line ?: odd"
    )
    [line] = lines(output := capsys.readouterr().out)
    assert (line["severity"], line["outcome"], line["reason"]) == ("ERROR", "dead_lettered", "audience_refused")
    assert ADDRESS not in output

    # A replay looks again, and triggers nothing.
    around.upstream.answers_to_reads += [PROCESSED, status(200, {"errors": []})]
    assert await broadcast.push(JOB.in_retry_lane()) == 204
    assert len(around.upstream.bodies) == 1
    assert len(around.pubsub.published) == 1


async def test_all_pages_of_errors_are_read_and_lines_are_summed_up(broadcast: Function, around: Around) -> None:
    around.upstream.then(ACCEPTED)
    pages = [[f"line {page * 100 + n}: no such person" for n in range(1, 101)] for page in range(2)]
    around.upstream.answers_to_reads += [
        PROCESSED,
        status(200, {"errors": pages[0], "next": "100"}),
        status(200, {"errors": pages[1], "next": None}),
    ]
    assert await broadcast.push(JOB) == 204
    assert around.upstream.reads[1:] == [f"{TRIGGER}/errors?limit=100", f"{TRIGGER}/errors?limit=100&start=100"]
    assert around.dead_letter()["message"] == (
        "triggered, and 200 lines of the audience were refused: "
        "lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 190 more: no such person"
    )


async def test_five_reasons_are_told_and_line_numbers_are_no_ids(broadcast: Function, around: Around) -> None:
    around.upstream.then(ACCEPTED)
    around.upstream.answers_to_reads += [PROCESSED, status(200, {"errors": [f"line {n}: {n}{n}" for n in range(1, 8)]})]
    assert await broadcast.push(Push({"broadcast_id": 12, "ids": ["1", "22"]}, {"job_id": "j-1"})) == 204
    assert around.dead_letter()["message"].endswith(
        "line 1: 11; line 2: [redacted]; line 3: 33; line 4: 44; line 5: 55; and 2 other reasons"
    )


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([WAITING] * 1000, "trigger_unprocessed"),
        ([status(404, {"meta": {"error": "not found"}})], "trigger_unread"),
        ([status(500)], "trigger_unread"),
        ([status(401)] * 2, "trigger_unread"),
        ([reset] * 10, "trigger_unread"),
        ([PROCESSED, status(429)], "trigger_unread"),
        ([status(200, [])] * 1000, "trigger_unprocessed"),
    ],
    ids=["never processed", "unknown", "server error", "key refused", "no answer", "errors unread", "unreadable"],
)
async def test_what_cannot_be_known_is_said_and_the_job_is_done(
    broadcast: Function,
    around: Around,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    answers: list[Answer],
    reason: str,
) -> None:
    if reason == "trigger_unprocessed":
        monkeypatch.setattr(deadlines, "TRIGGER_WATCH_SECONDS", 1.1)
    around.upstream.then(ACCEPTED)
    around.upstream.answers_to_reads += answers
    assert await broadcast.push(JOB) == 204
    said, settled = lines(capsys.readouterr().out)
    assert (said["severity"], said["outcome"], said["reason"]) == ("WARNING", "trigger_not_known", reason)
    assert settled["outcome"] == "applied"
    assert around.pubsub.published == []
    assert len(around.upstream.bodies) == 1


async def test_a_shutdown_ends_the_look_and_the_next_instance_looks(function: Make, around: Around) -> None:
    looked = asyncio.Event()

    async def waiting(request: web.Request, body: bytes) -> web.StreamResponse:
        looked.set()
        return await WAITING(request, body)

    around.upstream.then(ACCEPTED)
    around.upstream.answers_to_reads += [waiting] * 1000
    push = asyncio.create_task(function("broadcast").push(JOB))
    await looked.wait()
    around.lifetime.end()
    assert await push == 503

    around.upstream.answers_to_reads.clear()
    around.lifetime.is_ending = False
    assert await function("broadcast").push(JOB) == 204
    assert len(around.upstream.bodies) == 1
    assert around.upstream.reads[-1].startswith(f"{TRIGGER}/errors")


async def failing(*_: object) -> None:
    raise LedgerError("away")


async def test_without_a_record_nothing_is_looked_for(
    broadcast: Function, around: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its dead letter could be replayed into a second broadcast."""
    monkeypatch.setattr(deadlines, "RECORD_RETRY_SECONDS", 100.0)
    monkeypatch.setattr(around.ledger, "finish", failing)
    around.upstream.then(ACCEPTED)
    assert await broadcast.push(JOB) == 204
    assert around.upstream.reads == []
