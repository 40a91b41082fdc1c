"""User records brought to Customer.io: which operations follow from what was applied last."""

import asyncio
import json
import re
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from aiohttp import web

from shared import deadlines
from shared.ledger import ProfileState
from tests.customerio.conftest import reset, status
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
        self._published = 0

    def job(self, user: dict[str, Any]) -> Push:
        """The next job: published a second after the one before, with a message id of its own."""
        self._published += 1
        return Push(user, message_id=f"{self._published}", published=f"2026-05-01T12:00:{self._published:02}Z")

    async def bring(self, user: dict[str, Any]) -> list[str]:
        """Actions that Customer.io was asked for, in order; the push is settled."""
        return await self.deliver(self.job(user))

    async def deliver(self, push: Push) -> list[str]:
        before = len(self._around.upstream.bodies)
        assert await self._function.push(push) == 204
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
        "unsubscribed": True,
    }


def consents(site: Site) -> list[dict[str, Any]]:
    """Values of Customer.io's own switches in each operation."""
    names = ("unsubscribed", "cio_subscription_preferences")
    return [
        {name: value for name, value in item.get("attributes", {}).items() if name.startswith(names)}
        for item in site.items()
    ]


def prefer(**preferences: Any) -> dict[str, Any]:
    return {**USER, "preferences": preferences}


async def test_a_switch_is_written_when_it_changed_in_the_source_and_only_then(site: Site) -> None:
    """What the person changed at Customer.io meanwhile is not taken back by a record about something else."""
    for user in (
        prefer(marketing=True, topics={"topic_1": False}),
        prefer(marketing=True, topics={"topic_1": False}) | {"plan": "free"},
        prefer(marketing=False, topics={"topic_1": True, "topic_2": True}),
        prefer(marketing=False) | {"plan": "pro"},
        USER,
        prefer(marketing=False, topics={"topic_2": True}) | {"plan": "free"},
        prefer(marketing=False) | {"force": True},
    ):
        assert await site.bring(user) == ["identify"]

    assert consents(site) == [
        {"unsubscribed": False, "cio_subscription_preferences.topics.topic_1": False},
        {},
        {
            "unsubscribed": True,
            "cio_subscription_preferences.topics.topic_1": True,
            "cio_subscription_preferences.topics.topic_2": True,
        },
        {},
        {},
        {},
        {"unsubscribed": True},
    ]


async def test_silence_about_marketing_is_no_consent(site: Site) -> None:
    assert await site.bring(prefer(transactional=True, topics={"topic_7": True})) == ["identify"]
    assert await site.bring(prefer(transactional=False)) == ["identify"]
    assert consents(site) == [{"cio_subscription_preferences.topics.topic_7": True}, {}]


async def test_switches_are_written_anew_after_a_suppression_which_deletes_them(site: Site) -> None:
    for user in (prefer(marketing=True), OUT, prefer(marketing=True)):
        await site.bring(user)
    assert consents(site) == [{"unsubscribed": False}, {}, {}, {"unsubscribed": False}]


async def test_a_switch_whose_last_write_is_unknown_is_written_again(
    sync: Function, site: Site, around: Around
) -> None:
    assert await site.bring(prefer(marketing=False)) == ["identify"]
    around.upstream.then(status(500))
    assert await sync.push(site.job(prefer(marketing=True))) == 503  # it may be at Customer.io, and does not come again
    assert await site.bring(USER) == ["identify"]
    assert await site.bring(prefer(marketing=False)) == ["identify"]
    assert consents(site)[-1] == {"unsubscribed": True}


async def test_of_two_records_of_one_instant_the_opt_out_wins(site: Site) -> None:
    out, back = prefer(marketing=False), prefer(marketing=True)
    assert await site.bring({**out, "updated_at": 1_777_000_000}) == ["identify"]
    assert await site.bring({**back, "updated_at": 1_777_000_000}) == []
    assert consents(site) == [{"unsubscribed": True}]


@pytest.mark.parametrize("topics", [{"1": True}, {"topic_": True}, {"topic_x": True}, {"newsletter": False}])
async def test_a_topic_is_named_as_customerio_names_it(
    sync: Function, site: Site, around: Around, topics: dict[str, bool]
) -> None:
    assert await sync.push(site.job(prefer(marketing=True, topics=topics))) == 204
    assert around.dead_letter()["field"] == "preferences.topics"


async def test_a_deletion_suppresses_and_then_deletes_once(site: Site) -> None:
    assert await site.bring(USER) == ["identify"]
    assert [await site.bring(GONE) for _ in range(3)] == [["suppress", "delete"], [], []]
    assert site.items()[1:] == [
        {"type": "person", "action": action, "identifiers": IDS} for action in ("suppress", "delete")
    ]


@pytest.mark.parametrize("user", [USER, IN, OUT, {**USER, "force": True}])
async def test_a_record_of_a_deleted_user_is_a_dead_letter(
    sync: Function, site: Site, around: Around, user: dict[str, Any]
) -> None:
    assert await site.bring(GONE) == ["suppress", "delete"]
    assert await sync.push(site.job(user)) == 204
    letter = around.dead_letter()
    assert (letter["class"], letter["reason"], letter["field"]) == ("forgotten", "forgotten", "id")
    assert "restore" in letter["message"]
    assert len(site.items()) == 2


async def test_a_deleted_id_returns_when_it_is_restored_and_not_by_a_replay_of_that(site: Site) -> None:
    assert await site.bring(GONE) == ["suppress", "delete"]
    back = site.job({**USER, "restore": True})
    assert await site.deliver(back) == ["unsuppress", "identify"]
    assert await site.bring({**USER, "plan": "free"}) == ["identify"]
    assert await site.bring(GONE) == ["suppress", "delete"]
    assert await site.deliver(back) == []
    assert site.outcomes()[-1] == "superseded"


async def test_a_restored_record_may_be_older_than_the_deletion_and_the_next_change_counts(site: Site) -> None:
    assert await site.bring({**GONE, "updated_at": "2026-05-01T11:59:00Z"}) == ["suppress", "delete"]
    unchanged_since = {**USER, "updated_at": "2026-04-01T12:00:00Z", "restore": True}
    assert await site.bring(unchanged_since) == ["unsuppress", "identify"]
    assert await site.bring({**USER, "plan": "free", "updated_at": "2026-05-01T11:59:30Z"}) == ["identify"]


async def test_an_older_record_changes_nothing_and_says_so(site: Site) -> None:
    older, newer = site.job(IN), site.job(OUT)
    assert [await site.deliver(newer), await site.deliver(older)] == [["suppress"], []]
    assert site.outcomes() == ["applied", "superseded"]


async def test_the_time_of_the_change_counts_before_the_time_of_publishing(site: Site) -> None:
    assert await site.bring({**OUT, "updated_at": 1_777_636_000.5}) == ["suppress"]
    assert await site.bring({**IN, "updated_at": "2026-05-01T11:46:40.4Z"}) == []
    assert await site.bring({**IN, "updated_at": "2026-05-01T13:46:40.6+02:00"}) == ["unsuppress", "identify"]
    assert "updated_at" not in site.items()[-1]["attributes"]


async def test_an_unchanged_record_supersedes_what_lies_between(site: Site) -> None:
    first, between, last = site.job(USER), site.job({**USER, "plan": "free"}), site.job(USER)
    assert [await site.deliver(job) for job in (first, last, first, between)] == [["identify"], [], [], []]
    assert site.outcomes() == ["applied", "unchanged", "superseded", "superseded"]


async def test_a_replay_of_a_dead_letter_undoes_nothing(sync: Function, site: Site, around: Around) -> None:
    refused = site.job(IN)
    around.upstream.then(status(400, {"errors": [{"reason": "invalid", "message": "bad"}]}))
    assert await sync.push(refused) == 204
    around.pubsub.reset()
    assert await site.bring(OUT) == ["suppress"]
    assert await site.deliver(refused.in_retry_lane()) == []


async def test_a_change_far_ahead_is_refused_because_it_would_supersede_all_that_follows(
    sync: Function, site: Site, around: Around
) -> None:
    assert await sync.push(site.job({**USER, "updated_at": "2026-05-02T12:01:00Z"})) == 204
    assert around.dead_letter()["field"] == "updated_at"
    around.pubsub.reset()
    assert await site.bring({**USER, "updated_at": "2026-05-02T11:00:00Z"}) == ["identify"]


async def test_force_applies_what_is_unchanged_and_nothing_that_is_older(site: Site) -> None:
    older = site.job({**USER, "plan": "free", "force": True})
    assert await site.bring(USER) == ["identify"]
    assert await site.bring({**USER, "force": True}) == ["identify"]
    assert site.items()[0] == site.items()[1]
    assert await site.deliver(older) == []
    assert [await site.bring(user) for user in (OUT, {**OUT, "force": True})] == [["suppress"], ["suppress"]]


async def test_what_vanished_or_became_null_is_cleared(site: Site) -> None:
    assert await site.bring({**USER, "city": "Oslo", "team": "crm"}) == ["identify"]
    assert await site.bring({**USER, "city": None}) == ["identify"]
    assert site.items()[-1]["attributes"] == {"email": "ada@example.com", "plan": "pro", "city": None, "team": None}
    assert await site.bring({**USER, "plan": "free"}) == ["identify"]
    assert site.items()[-1]["attributes"] == {"email": "ada@example.com", "plan": "free"}


async def test_what_is_null_is_cleared_by_force_whoever_set_it(site: Site) -> None:
    assert await site.bring({**USER, "city": None, "force": True}) == ["identify"]
    assert site.items()[0]["attributes"]["city"] is None


async def test_nothing_is_cleared_of_a_profile_that_a_suppression_removed(site: Site) -> None:
    assert [await site.bring(user) for user in ({**IN, "city": "Oslo"}, OUT)] == [["identify"], ["suppress"]]
    assert await site.bring(IN) == ["unsuppress", "identify"]
    assert "city" not in site.items()[-1]["attributes"]


async def test_too_much_to_clear_at_once_is_cleared_in_steps(site: Site) -> None:
    assert await site.bring({"id": 42, **{f"old_{n}": n for n in range(250)}}) == ["identify"]
    new = {f"new_{n}": n for n in range(100)}
    assert await site.bring({"id": 42, **new}) == ["identify"] * 4
    cleared = {name: value for item in site.items()[1:4] for name, value in item["attributes"].items()}
    assert cleared == {f"old_{n}": None for n in range(250)}
    assert site.items()[4]["attributes"] == new


async def test_what_may_have_been_applied_is_cleared_and_unsuppressed(
    sync: Function, site: Site, around: Around
) -> None:
    """Two jobs end in a 503, which may have been applied, and are never seen again."""
    assert await site.bring(IN) == ["identify"]
    for lost in (OUT, {**IN, "city": "Oslo"}):
        around.upstream.then(status(503))
        assert await sync.push(site.job(lost)) == 503
    assert await site.bring(IN) == ["unsuppress", "identify"]
    assert site.items()[-1]["attributes"]["city"] is None


async def test_what_may_have_been_applied_in_part_is_applied_again(sync: Function, site: Site, around: Around) -> None:
    assert await site.bring(OUT) == ["suppress"]
    refusal = {"errors": [{"batch_index": 0, "reason": "invalid", "field": "plan", "message": "bad"}]}
    around.upstream.then(status(200), status(207, refusal))
    assert await sync.push(site.job(IN)) == 204
    around.pubsub.reset()
    # The unsuppress was applied, so an opt-out is no repetition.
    assert await site.bring(OUT) == ["suppress"]


async def test_another_workspace_or_region_starts_afresh(
    function: Make, around: Around, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = (Site(function("sync", site_id=site_id), around, capsys) for site_id in ("site", "another"))
    assert [await one.bring(GONE), await other.bring(USER)] == [["suppress", "delete"], ["identify"]]


async def test_a_deletion_that_failed_half_way_is_done_from_the_start(
    sync: Function, site: Site, around: Around
) -> None:
    around.upstream.then(status(200), status(500))
    gone = site.job(GONE)
    assert await sync.push(gone) == 503
    assert await site.deliver(gone) == ["suppress", "delete"]
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
    back = site.job(IN)
    assert await sync.push(back) == 503
    assert await site.deliver(back) == ["unsuppress", "identify"]


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


async def test_the_memory_holds_names_of_attributes_and_no_value_or_id(site: Site, around: Around) -> None:
    await site.bring(USER)
    with closing(sqlite3.connect(around.ledger_file)) as file:
        [(key, state)] = file.execute("SELECT key, state FROM profile_states").fetchall()
    assert len(key) == 64
    assert json.loads(state)["applied"]["names"] == ["email", "plan"]
    assert not {"ada", "pro", "id:42"} & set(re.split(r'[@"]', state))
    await site.bring(GONE)
    with closing(sqlite3.connect(around.ledger_file)) as file:
        [(state,)] = file.execute("SELECT state FROM profile_states").fetchall()
    assert "email" not in state


async def test_another_delivery_about_the_same_user_is_waited_for(
    function: Make, around: Around, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two instances and two publishers: the newer record comes while the older one is being applied."""
    site = Site(function("sync"), around, capsys)
    older, newer = site.job(IN), site.job(OUT)
    called, found_busy = asyncio.Event(), asyncio.Event()
    read = around.ledger.state

    async def answer(_request: web.Request, _body: bytes) -> web.StreamResponse:
        called.set()
        await found_busy.wait()
        return web.json_response({})

    async def state(key: str) -> ProfileState | None:
        found = await read(key)
        if found is not None and "intent" in found.text:
            found_busy.set()
        return found

    around.upstream.then(answer)
    monkeypatch.setattr(around.ledger, "state", state)
    async with asyncio.timeout(10):
        first = asyncio.ensure_future(function("sync").push(older))
        await called.wait()
        assert await function("sync").push(newer) == 204
        assert await first == 204
    assert [item["action"] for item in site.items()] == ["identify", "suppress"]
    assert site.outcomes() == ["applied", "applied"]


async def test_a_delivery_that_does_not_end_is_not_waited_for_longer_than_a_push_may(
    sync: Function, site: Site, around: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "PROFILE_WAIT_SECONDS", 0.0)
    gone, later = site.job(IN), site.job(OUT)
    around.upstream.then(reset, reset)  # no answer, twice: nobody knows when the call arrives
    assert await sync.push(gone) == 503
    assert await sync.push(later) == 503
    assert len(around.upstream.bodies) == 2
    assert await site.deliver(gone) == ["identify"]
    assert site.outcomes() == ["retry_later", "retry_later", "applied"]
