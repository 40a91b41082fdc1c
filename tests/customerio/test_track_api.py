import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from aiohttp import web

from shared.customerio.errors import (
    AccountRefusedError,
    CustomerIOError,
    DeadlineExceededError,
    RateLimitedError,
    RejectedError,
    SuspendedError,
    UnknownOutcomeError,
)
from shared.customerio.http import BasicCredentials, Connection
from shared.customerio.responses import Answer
from shared.customerio.track import LIMITS, MAX_BATCH_BYTES, TrackAPI
from shared.secrets import EnvironmentSecret
from tests.customerio.conftest import Connect, Upstream, reset, status
from tests.virtual_time import run


def item(number: int, *, padding: int = 0) -> bytes:
    return json.dumps({"n": number, "padding": "x" * padding}).encode()


async def apply_all(
    track: TrackAPI, items: Sequence[bytes], *, key: str | None = None, exclusive: bool = False
) -> list[BaseException | None]:
    calls = (track.apply(each, keys=[key or f"id:{n}"], exclusive=exclusive) for n, each in enumerate(items))
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_concurrent_operations_share_requests_and_each_goes_once(
    upstream: Upstream, connection: Connection
) -> None:
    fates = await apply_all(TrackAPI(connection), [item(n) for n in range(1000)])

    assert fates == [None] * 1000
    assert sorted(each["n"] for batch in upstream.batches() for each in batch) == list(range(1000))
    assert len(upstream.bodies) <= 15
    assert set(upstream.paths) == {"/api/v2/batch"}


async def test_only_the_item_that_a_207_names_is_refused(upstream: Upstream, connection: Connection) -> None:
    complaint = {"batch_index": 3, "reason": "invalid", "field": "attributes.plan", "message": "too long"}
    also = {"batch_index": 3, "reason": "invalid", "field": "attributes.city", "message": "too odd"}
    upstream.then(status(207, {"errors": [complaint, also]}))

    fates = await apply_all(TrackAPI(connection), [item(n) for n in range(50)])

    refused = fates.pop(3)
    assert fates == [None] * 49
    assert isinstance(refused, RejectedError)
    assert (refused.status, refused.reason) == (207, "invalid")
    assert refused.field == "attributes.plan; attributes.city"
    assert refused.message == "too long; too odd"
    assert len(upstream.bodies) == 1


async def test_a_batch_refused_whole_fails_only_the_item_at_fault(upstream: Upstream, connection: Connection) -> None:
    async def refuse_if_13_is_in_it(_request: web.Request, body: bytes) -> web.StreamResponse:
        bad = any(each["n"] == 13 for each in json.loads(body)["batch"])
        return web.json_response({"errors": [{"reason": "parse", "message": "bad"}]}, status=400 if bad else 200)

    upstream.then(*[refuse_if_13_is_in_it] * 20)

    fates = await apply_all(TrackAPI(connection), [item(n) for n in range(32)])

    assert isinstance(fates.pop(13), RejectedError)
    assert fates == [None] * 31


async def test_operations_of_one_key_keep_their_order_and_exclusive_ones_never_share(
    upstream: Upstream, connection: Connection
) -> None:
    track = TrackAPI(connection)
    same = apply_all(track, [item(n) for n in range(20)], key="id:same", exclusive=True)
    others = apply_all(track, [item(100 + n) for n in range(20)])
    assert [*(await asyncio.gather(same, others))] == [[None] * 20, [None] * 20]

    order = [[each["n"] for each in batch if each["n"] < 100] for batch in upstream.batches()]
    assert [numbers for numbers in order if numbers] == [[n] for n in range(20)]


async def test_events_of_one_person_share_a_request_in_order(upstream: Upstream, connection: Connection) -> None:
    assert await apply_all(TrackAPI(connection), [item(n) for n in range(20)], key="id:same") == [None] * 20
    assert [[each["n"] for each in batch] for batch in upstream.batches()] == [list(range(20))]


async def test_a_batch_stays_below_the_published_size(upstream: Upstream, connection: Connection) -> None:
    assert await apply_all(TrackAPI(connection), [item(n, padding=30_000) for n in range(40)]) == [None] * 40
    assert max(len(body) for body in upstream.bodies) <= MAX_BATCH_BYTES
    assert len(upstream.bodies) >= 3


async def test_a_dead_connection_is_tried_once_more(upstream: Upstream, connection: Connection) -> None:
    upstream.then(reset)
    await TrackAPI(connection).apply(item(1), keys=["id:1"], exclusive=False)
    assert len(upstream.bodies) == 2


async def test_a_connection_that_stays_dead_is_an_unknown_outcome(upstream: Upstream, connection: Connection) -> None:
    upstream.then(reset, reset)
    with pytest.raises(UnknownOutcomeError):
        await TrackAPI(connection).apply(item(1), keys=["id:1"], exclusive=False)


@pytest.mark.parametrize("code", [500, 502, 503, 504, 522, 524, 408])
async def test_a_server_error_fails_every_caller_for_now(upstream: Upstream, connection: Connection, code: int) -> None:
    upstream.then(status(code))
    fates = await apply_all(TrackAPI(connection), [item(n) for n in range(10)])
    assert all(isinstance(fate, UnknownOutcomeError) and fate.status == code for fate in fates)


async def test_after_a_429_nothing_is_sent_until_the_pause_is_over(upstream: Upstream, connection: Connection) -> None:
    upstream.then(status(429, Retry_After="60"))
    track = TrackAPI(connection)
    for _ in range(3):
        with pytest.raises(RateLimitedError) as caught:
            await track.apply(item(1), keys=["id:1"], exclusive=False)
        assert caught.value.retry_after == 60
    assert len(upstream.bodies) == 1


async def test_the_breaker_opens_after_failures_in_a_row(upstream: Upstream, connection: Connection) -> None:
    upstream.then(*[status(500)] * 10)
    track = TrackAPI(connection)
    errors: list[CustomerIOError] = []
    for _ in range(8):
        with pytest.raises(CustomerIOError) as caught:
            await track.apply(item(1), keys=["id:1"], exclusive=False)
        errors.append(caught.value)
    assert [type(error) for error in errors] == [UnknownOutcomeError] * 5 + [SuspendedError] * 3
    assert len(upstream.bodies) == 5


async def test_what_waits_is_bounded(upstream: Upstream, connection: Connection) -> None:
    answered = asyncio.Event()

    async def slow(_request: web.Request, _body: bytes) -> web.StreamResponse:
        await answered.wait()
        return web.json_response({})

    upstream.then(slow, slow)
    track = TrackAPI(connection, limits=replace(LIMITS, interval=0.0, max_waiting_items=10))
    calls = [asyncio.ensure_future(track.apply(item(n), keys=[f"id:{n}"], exclusive=False)) for n in range(30)]
    done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_EXCEPTION)
    assert any(isinstance(call.exception(), RateLimitedError) for call in done)
    answered.set()
    fates = await asyncio.gather(*calls, return_exceptions=True)
    refused = [fate for fate in fates if fate is not None]
    assert all(isinstance(fate, RateLimitedError) for fate in refused)
    assert len(refused) == 20


async def test_a_fault_of_ours_reaches_every_caller() -> None:
    class Broken:
        async def post(self, *_args: object, **_named: object) -> None:
            raise ZeroDivisionError

    track = TrackAPI(Broken())  # type: ignore[arg-type]
    fates = await apply_all(track, [item(n) for n in range(5)])
    assert [type(fate) for fate in fates] == [ZeroDivisionError] * 5


@pytest.mark.parametrize("code", [402, 403, 404, 405, 409])
@pytest.mark.parametrize("body", [None, {"meta": {"error": "no access"}}])
async def test_an_account_turned_away_holds_every_item_after_one_request(
    upstream: Upstream, connection: Connection, code: int, body: object
) -> None:
    upstream.then(*[status(code, body)] * 400)
    track = TrackAPI(connection)
    fates = await apply_all(track, [item(n) for n in range(150)])
    assert all(isinstance(fate, AccountRefusedError) and fate.status == code for fate in fates)
    with pytest.raises(AccountRefusedError):
        await track.apply(item(1), keys=["id:1"], exclusive=False)
    assert len(upstream.bodies) == 1


@pytest.mark.parametrize("code", [400, 413, 422])
async def test_halving_tells_every_item_its_own_result(upstream: Upstream, connection: Connection, code: int) -> None:
    async def refuse_odd_ones(_request: web.Request, body: bytes) -> web.StreamResponse:
        bad = any(each["n"] % 2 for each in json.loads(body)["batch"])
        return web.json_response({}, status=code if bad else 200)

    upstream.then(*[refuse_odd_ones] * 100)
    fates = await apply_all(TrackAPI(connection), [item(n) for n in range(8)])
    assert [type(fate) for fate in fates] == [type(None), RejectedError] * 4


async def test_a_failure_while_halving_fails_only_its_half(upstream: Upstream, connection: Connection) -> None:
    upstream.then(status(400), status(500))
    fates = await apply_all(TrackAPI(connection), [item(n) for n in range(4)])
    assert [type(fate) for fate in fates] == [UnknownOutcomeError] * 2 + [type(None)] * 2


async def test_an_operation_is_given_back_unsent_when_no_time_is_left(
    upstream: Upstream, connection: Connection
) -> None:
    track = TrackAPI(connection)
    late = asyncio.get_running_loop().time() + 0.9
    with pytest.raises(DeadlineExceededError):
        await track.apply(item(1), keys=["id:1"], exclusive=False, deadline=late)
    await track.apply(item(2), keys=["id:1"], exclusive=False, deadline=late + 60)
    assert upstream.batches() == [[{"n": 2, "padding": ""}]]


async def test_a_caller_is_answered_by_its_deadline_while_customerio_is_silent(
    upstream: Upstream, connect: Connect
) -> None:
    silent = asyncio.Event()

    async def never(_request: web.Request, _body: bytes) -> web.StreamResponse:
        await silent.wait()
        return web.json_response({})

    upstream.then(never)
    connection = connect(
        upstream.url, BasicCredentials(EnvironmentSecret("site"), EnvironmentSecret("key")), timeout=60.0
    )
    started = asyncio.get_running_loop().time()
    with pytest.raises(UnknownOutcomeError):
        await TrackAPI(connection).apply(item(1), keys=["id:1"], exclusive=False, deadline=started + 1.2)
    assert asyncio.get_running_loop().time() - started < 5
    silent.set()


class Remote:
    """A connection in virtual time that answers as told: an error, or acceptance after ``seconds``."""

    def __init__(self, *errors: CustomerIOError | None, seconds: float = 0.1) -> None:
        self.errors = list(errors)
        self.seconds = seconds
        self.sent_at: list[float] = []
        self.bodies: list[bytes] = []
        self.in_flight = self.most_in_flight = 0

    async def post(self, _path: str, body: bytes, **_named: object) -> Answer:
        self.sent_at.append(asyncio.get_running_loop().time())
        self.bodies.append(body)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(self.seconds)
        self.in_flight -= 1
        if error := self.errors.pop(0) if self.errors else None:
            raise error
        return Answer(200, b"{}", {})


def test_what_waits_for_the_rate_is_not_sent_after_the_breaker_opened() -> None:
    async def main() -> None:
        remote = Remote(AccountRefusedError("turned away", status=403), seconds=0.5)
        track = TrackAPI(remote, requests_per_second=1.0)  # type: ignore[arg-type]
        first = asyncio.ensure_future(track.apply(item(1), keys=["a"], exclusive=False))
        await asyncio.sleep(0.1)
        second = asyncio.ensure_future(track.apply(item(2), keys=["b"], exclusive=False))
        results = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(result) for result in results] == [AccountRefusedError] * 2
        assert len(remote.bodies) == 1

    run(main())


def test_after_a_pause_one_batch_probes_while_the_others_wait() -> None:
    async def main() -> None:
        remote = Remote(RateLimitedError("slow down", status=429, retry_after=5.0), seconds=0.5)
        track = TrackAPI(remote)  # type: ignore[arg-type]
        with pytest.raises(RateLimitedError):
            await track.apply(item(0), keys=["a"], exclusive=False)
        await asyncio.sleep(5.2)
        large = [track.apply(item(n, padding=300_000), keys=[str(n)], exclusive=False) for n in range(6)]
        started = asyncio.get_running_loop().time()
        await asyncio.gather(*large)
        assert [at - started < 0.5 for at in remote.sent_at[1:]] == [True] + [False] * 5
        assert remote.most_in_flight > 1, "once the probe had succeeded"

    run(main())


def test_a_refused_probe_closes_the_breaker() -> None:
    async def main() -> None:
        refused = RejectedError("bad", status=400)
        remote = Remote(RateLimitedError("slow down", status=429, retry_after=5.0), refused, seconds=0.1)
        track = TrackAPI(remote)  # type: ignore[arg-type]
        with pytest.raises(RateLimitedError):
            await track.apply(item(0), keys=["a"], exclusive=False)
        await asyncio.sleep(5.2)
        with pytest.raises(RejectedError):
            await track.apply(item(1), keys=["a"], exclusive=False)
        await asyncio.gather(*(track.apply(item(n, padding=300_000), keys=[str(n)], exclusive=False) for n in range(4)))
        assert remote.most_in_flight > 1

    run(main())


def test_a_429_keeps_the_pause_that_customerio_asked_for() -> None:
    async def main() -> None:
        remote = Remote(RateLimitedError("slow down", status=429, retry_after=60.0))
        track = TrackAPI(remote)  # type: ignore[arg-type]
        with pytest.raises(RateLimitedError):
            await track.apply(item(0), keys=["a"], exclusive=False)
        for _ in range(59):
            await asyncio.sleep(1.0)
            with pytest.raises(RateLimitedError):
                await track.apply(item(1), keys=["a"], exclusive=False)
        await asyncio.sleep(1.2)
        await track.apply(item(1), keys=["a"], exclusive=False)
        assert len(remote.bodies) == 2

    run(main())


def test_an_unknown_outcome_stays_unknown_when_no_time_is_left_for_a_second_try() -> None:
    async def main() -> None:
        broken = UnknownOutcomeError("broken", reason="no_answer")
        remote = Remote(broken, DeadlineExceededError("no time"))
        track = TrackAPI(remote)  # type: ignore[arg-type]
        with pytest.raises(UnknownOutcomeError):
            await track.apply(item(0), keys=["a"], exclusive=False)

    run(main())
