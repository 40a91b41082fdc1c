"""User records brought to Customer.io: which operations follow from what was applied last."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.customerio.conftest import status
from tests.handlers.conftest import Make
from tests.handlers.handler_helpers import Around, Function, Push, lines

IDS = {"id": "42"}
USER = {"id": 42, "email": "ada@example.com", "plan": "pro"}
IN = {**USER, "preferences": {"marketing": True, "transactional": True}}
OUT = {**USER, "preferences": {"marketing": False, "transactional": False}}
GONE = {"id": "42", "deleted": True}
IDENTIFY = {
    "type": "person",
    "action": "identify",
    "identifiers": IDS,
    "attributes": {"email": "ada@example.com", "plan": "pro"},
}


class Site:
    """A sync function and what it did."""

    def __init__(self, function: Function, around: Around, capsys: pytest.CaptureFixture[str]) -> None:
        self._function = function
        self._around = around
        self._capsys = capsys

    async def bring(self, user: dict[str, Any]) -> list[str]:
        """Actions that Customer.io was asked for, in order; the push is settled."""
        before = len(self._around.upstream.bodies)
        assert await self._function.push(Push(user)) == 204
        assert self._around.pubsub.published == []
        return [item["action"] for item in self._items(before)]

    def _items(self, since: int = 0) -> list[dict[str, Any]]:
        batches = self._around.upstream.batches()[since:]
        # Each waits for the one before: the order within a batch is not documented.
        assert all(len(batch) == 1 for batch in batches)
        return [batch[0] for batch in batches]

    def items(self) -> list[dict[str, Any]]:
        return self._items()

    def outcomes(self) -> list[str]:
        return [line["outcome"] for line in lines(self._capsys.readouterr().out)]


@pytest.fixture
def site(sync: Function, around: Around, capsys: pytest.CaptureFixture[str]) -> Site:
    return Site(sync, around, capsys)


async def test_a_record_is_an_identify_and_unchanged_makes_no_call(site: Site) -> None:
    assert [await site.bring(USER) for _ in range(3)] == [["identify"], [], []]
    assert site.items() == [IDENTIFY]
    assert site.outcomes() == ["applied", "unchanged", "unchanged"]


async def test_the_order_of_a_records_fields_is_no_change_and_another_value_is(site: Site) -> None:
    assert await site.bring(USER) == ["identify"]
    assert await site.bring(dict(reversed(USER.items()))) == []
    assert await site.bring({**USER, "id": "42"}) == []
    assert await site.bring({**USER, "nothing": None}) == []
    assert await site.bring({**USER, "plan": "free"}) == ["identify"]
    assert await site.bring(USER) == ["identify"]


async def test_another_instance_knows_what_was_applied(
    function: Make, around: Around, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = (Site(function("sync"), around, capsys) for _ in range(2))
    assert [await one.bring(USER), await other.bring(USER)] == [["identify"], []]


async def test_opted_out_of_all_is_suppressed_once(site: Site) -> None:
    assert await site.bring(IN) == ["identify"]
    assert await site.bring(OUT) == ["suppress"]
    assert await site.bring(OUT) == []
    assert await site.bring({**OUT, "plan": "free"}) == []
    assert site.items()[-1] == {"type": "person", "action": "suppress", "identifiers": IDS}


async def test_opted_in_again_is_unsuppressed_and_then_identified(site: Site) -> None:
    assert [await site.bring(user) for user in (OUT, IN, IN, OUT, IN)] == [
        ["suppress"],
        ["unsuppress", "identify"],
        [],
        ["suppress"],
        ["unsuppress", "identify"],
    ]
    assert site.items()[2]["attributes"]["marketing_opt_in"] is True


async def test_who_was_suppressed_elsewhere_is_not_unsuppressed(site: Site) -> None:
    assert await site.bring(IN) == ["identify"]
    assert await site.bring({**IN, "plan": "free"}) == ["identify"]


async def test_half_an_opt_out_is_an_attribute(site: Site) -> None:
    assert await site.bring({**USER, "preferences": {"marketing": False}}) == ["identify"]
    assert site.items()[0]["attributes"] | {"email": "", "plan": ""} == {
        "email": "",
        "plan": "",
        "marketing_opt_in": False,
        "transactional_opt_in": True,
    }


async def test_a_deletion_suppresses_and_then_deletes_once(site: Site) -> None:
    assert await site.bring(USER) == ["identify"]
    assert [await site.bring(GONE) for _ in range(3)] == [["suppress", "delete"], [], []]
    assert site.items()[1:] == [
        {"type": "person", "action": action, "identifiers": IDS} for action in ("suppress", "delete")
    ]


async def test_nobody_is_brought_back_after_a_deletion(site: Site) -> None:
    assert await site.bring(GONE) == ["suppress", "delete"]
    assert [await site.bring(user) for user in (USER, OUT, IN)] == [[], [], []]


async def test_a_deletion_that_failed_half_way_is_done_from_the_start(
    sync: Function, site: Site, around: Around
) -> None:
    around.upstream.then(status(200), status(500))
    assert await sync.push(Push(GONE)) == 503
    assert await site.bring(GONE) == ["suppress", "delete"]
    assert [item["action"] for item in site.items()] == ["suppress", "delete"] * 2


@pytest.mark.parametrize(("code", "answer"), [(500, 503), (429, 429), (401, 503), (400, 204)])
async def test_what_failed_is_not_remembered(
    sync: Function, site: Site, around: Around, code: int, answer: int
) -> None:
    around.upstream.then(status(code, Retry_After="0"), *([status(401)] if code == 401 else []))
    assert await sync.push(Push(USER)) == answer
    around.pubsub.reset()
    if code != 401:  # then nothing is called for a while
        assert await site.bring(USER) == ["identify"]


async def test_an_unsuppress_that_failed_is_tried_again_with_the_identify(
    sync: Function, site: Site, around: Around
) -> None:
    assert await site.bring(OUT) == ["suppress"]
    around.upstream.then(status(200), status(503))
    assert await sync.push(Push(IN)) == 503
    assert await site.bring(IN) == ["unsuppress", "identify"]


async def test_a_refused_record_is_a_dead_letter(sync: Function, around: Around) -> None:
    complaint = {"batch_index": 0, "reason": "invalid", "field": "attributes.plan", "message": "is no plan"}
    around.upstream.then(status(207, {"errors": [complaint]}))
    assert await sync.push(Push(USER)) == 204
    assert around.dead_letter()["field"] == "attributes.plan"
    [(_, data, _)] = around.pubsub.published
    assert json.loads(data) == USER


async def test_a_memory_that_does_not_answer_is_503_and_nothing_is_sent(
    sync: Function, around: Around, capsys: pytest.CaptureFixture[str]
) -> None:
    around.break_the_ledger()
    assert await sync.push(Push(USER)) == 503
    assert around.upstream.bodies == []
    assert lines(capsys.readouterr().out)[0]["reason"] == "ledger_unavailable"


async def test_nobodys_address_or_id_is_in_the_memory(site: Site, around: Around) -> None:
    await site.bring(USER)
    with closing(sqlite3.connect(around.ledger_file)) as file:
        rows = file.execute("SELECT person, state FROM profiles").fetchall()
    assert len(rows) == 1
    assert all(len(text) == 64 for text in rows[0])
