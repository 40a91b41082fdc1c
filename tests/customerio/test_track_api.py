import asyncio
import json
from collections.abc import Sequence

import pytest
from aiohttp import web

from shared.customerio.batcher import MAXIMUM_BATCH_BYTES, BatcherLimits
from shared.customerio.errors import (
    CustomerIOError,
    RateLimitedError,
    RejectedError,
    SuspendedError,
    UnknownOutcomeError,
)
from shared.customerio.http import Connection
from shared.customerio.track import TrackAPI
from tests.customerio.conftest import Upstream, reset, status


def item(number: int, *, padding: int = 0) -> bytes:
    return json.dumps({"n": number, "padding": "x" * padding}).encode()


async def apply_all(
    track: TrackAPI, items: Sequence[bytes], *, key: str | None = None, alone: bool = False
) -> list[BaseException | None]:
    calls = (track.apply(each, keys=[key or f"id:{n}"], alone=alone) for n, each in enumerate(items))
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


async def test_operations_of_one_key_keep_their_order_and_alone_ones_never_share(
    upstream: Upstream, connection: Connection
) -> None:
    track = TrackAPI(connection)
    same = apply_all(track, [item(n) for n in range(20)], key="id:same", alone=True)
    others = apply_all(track, [item(100 + n) for n in range(20)])
    assert [*(await asyncio.gather(same, others))] == [[None] * 20, [None] * 20]

    order = [[each["n"] for each in batch if each["n"] < 100] for batch in upstream.batches()]
    assert [numbers for numbers in order if numbers] == [[n] for n in range(20)]


async def test_events_of_one_person_share_a_request_in_order(upstream: Upstream, connection: Connection) -> None:
    assert await apply_all(TrackAPI(connection), [item(n) for n in range(20)], key="id:same") == [None] * 20
    assert [[each["n"] for each in batch] for batch in upstream.batches()] == [list(range(20))]


async def test_a_batch_stays_below_the_published_size(upstream: Upstream, connection: Connection) -> None:
    assert await apply_all(TrackAPI(connection), [item(n, padding=30_000) for n in range(40)]) == [None] * 40
    assert max(len(body) for body in upstream.bodies) <= MAXIMUM_BATCH_BYTES
    assert len(upstream.bodies) >= 3


async def test_a_dead_connection_is_tried_once_more(upstream: Upstream, connection: Connection) -> None:
    upstream.then(reset)
    await TrackAPI(connection).apply(item(1), keys=["id:1"], alone=False)
    assert len(upstream.bodies) == 2


async def test_a_connection_that_stays_dead_is_an_unknown_outcome(upstream: Upstream, connection: Connection) -> None:
    upstream.then(reset, reset)
    with pytest.raises(UnknownOutcomeError):
        await TrackAPI(connection).apply(item(1), keys=["id:1"], alone=False)


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
            await track.apply(item(1), keys=["id:1"], alone=False)
        assert caught.value.retry_after == 60
    assert len(upstream.bodies) == 1


async def test_the_breaker_opens_after_failures_in_a_row(upstream: Upstream, connection: Connection) -> None:
    upstream.then(*[status(500)] * 10)
    track = TrackAPI(connection)
    errors: list[CustomerIOError] = []
    for _ in range(8):
        with pytest.raises(CustomerIOError) as caught:
            await track.apply(item(1), keys=["id:1"], alone=False)
        errors.append(caught.value)
    assert [type(error) for error in errors] == [UnknownOutcomeError] * 5 + [SuspendedError] * 3
    assert len(upstream.bodies) == 5


async def test_what_waits_is_bounded(upstream: Upstream, connection: Connection) -> None:
    answered = asyncio.Event()

    async def slow(_request: web.Request, _body: bytes) -> web.StreamResponse:
        await answered.wait()
        return web.json_response({})

    upstream.then(slow, slow)
    track = TrackAPI(connection, limits=BatcherLimits(linger=0.0, waiting=10))
    calls = [asyncio.ensure_future(track.apply(item(n), keys=[f"id:{n}"], alone=False)) for n in range(30)]
    done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_EXCEPTION)
    assert any(isinstance(call.exception(), RateLimitedError) for call in done)
    answered.set()
    fates = await asyncio.gather(*calls, return_exceptions=True)
    refused = [fate for fate in fates if fate is not None]
    assert all(isinstance(fate, RateLimitedError) for fate in refused)
    assert len(refused) == 20


async def test_a_fault_of_ours_reaches_every_caller() -> None:
    class Broken:
        async def post(self, _path: str, _body: bytes) -> None:
            msg = "broken"
            raise ZeroDivisionError(msg)

    track = TrackAPI(Broken())  # type: ignore[arg-type]
    fates = await apply_all(track, [item(n) for n in range(5)])
    assert [type(fate) for fate in fates] == [ZeroDivisionError] * 5
