"""What the App API's client lets out: rate, places, permits, deadlines."""

import asyncio

import msgspec
import pytest
from aiohttp import web

from shared.customerio.app import AppAPI
from shared.customerio.errors import (
    DeadlineExceededError,
    RateLimitedError,
    SuspendedError,
    UnknownOutcomeError,
)
from shared.customerio.http import BearerCredentials
from shared.customerio.responses import Answer
from shared.secrets import EnvironmentSecret
from tests.customerio.conftest import Connect, Upstream, status
from tests.virtual_time import run

CREDENTIALS = BearerCredentials(EnvironmentSecret("app-key"))


class Remote:
    """A connection in virtual time: each answer takes ``seconds``."""

    def __init__(self, seconds: float = 0.1) -> None:
        self.seconds = seconds
        self.in_flight = self.most_in_flight = 0
        self.sent: list[bytes] = []
        self.error: Exception | None = None

    async def post(self, _path: str, body: bytes, *, deadline: float | None) -> Answer:
        assert deadline is None or deadline > now()
        self.sent.append(body)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(self.seconds)
        self.in_flight -= 1
        if self.error is not None:
            raise self.error
        return Answer(200, msgspec.json.encode({"delivery_id": body.decode()}), {})


def app_over(remote: Remote, rate: float | None = None) -> AppAPI:
    return AppAPI(remote, requests_per_second=rate)  # type: ignore[arg-type]


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_thousand_wait_for_the_rate_and_the_next_one_is_refused_at_once() -> None:
    async def main() -> None:
        remote = Remote()
        app = app_over(remote, 100.0)
        started = now()
        calls = [asyncio.ensure_future(app.send("email", b"x", deadline=started + 20)) for _ in range(1_010)]
        await asyncio.sleep(0)
        assert len(remote.sent) == 10, "what is due at once after a rest"
        for _ in range(50):
            with pytest.raises(RateLimitedError):
                await app.send("email", b"late", deadline=started + 20)
        assert now() == started
        assert await asyncio.gather(*calls) == ["x"] * 1_010
        assert now() - started <= 1.15 * 10

    run(main())


def test_what_is_in_flight_stays_below_the_pools_connections_and_the_rest_waits() -> None:
    async def main() -> None:
        remote = Remote(seconds=1.0)
        app = app_over(remote)
        sends = (app.send("email", b"d", deadline=now() + 20) for _ in range(400))
        assert await asyncio.gather(*sends) == ["d"] * 400
        assert remote.most_in_flight == 150

    run(main())


def test_urgent_sends_pass_all_bulk_ones_that_wait() -> None:
    async def main() -> None:
        remote = Remote()
        app = app_over(remote, 100.0)
        deadline = now() + 20
        bulk = [asyncio.ensure_future(app.send("email", b"bulk", deadline=deadline, bulk=True)) for _ in range(500)]
        await asyncio.sleep(0.5)
        started = now()
        urgent = [app.send("email", b"urgent", deadline=deadline) for _ in range(20)]
        await asyncio.gather(*urgent)
        assert now() - started <= 0.35
        await asyncio.gather(*bulk)

    run(main())


def test_bulk_holds_at_most_half_of_the_places_in_line_and_in_flight() -> None:
    async def main() -> None:
        remote = Remote(seconds=1.0)
        app = app_over(remote)
        calls = [asyncio.ensure_future(app.send("email", b"b", deadline=now() + 30, bulk=True)) for _ in range(700)]
        await asyncio.sleep(0.5)
        assert remote.in_flight == 75
        refused = [call for call in calls if call.done()]
        assert len(refused) == 700 - 75 - 500
        assert {type(call.exception()) for call in refused} == {RateLimitedError}
        assert await app.send("email", b"urgent", deadline=now() + 2) == "urgent"
        await asyncio.gather(*calls, return_exceptions=True)

    run(main())


def test_a_permit_holds_its_place_and_an_unused_one_returns_its_token() -> None:
    async def main() -> None:
        remote = Remote()
        app = app_over(remote, 0.1)
        async with app.permit(deadline=now() + 1) as unused:
            assert not unused.is_used
        async with app.permit(deadline=now() + 1) as permit:
            assert await app.trigger(1, b"x", permit=permit) == ""
            assert permit.is_used
        with pytest.raises(RateLimitedError):
            async with app.permit(deadline=now() + 1):
                pytest.fail("the rate was exceeded")

    run(main())


def test_a_permit_is_good_for_one_request() -> None:
    async def main() -> None:
        remote = Remote()
        app = app_over(remote)
        async with app.permit() as permit:
            await app.send("email", b"x", permit=permit)
            with pytest.raises(RuntimeError):
                await app.send("email", b"x", permit=permit)
        assert len(remote.sent) == 1

    run(main())


async def test_an_open_breaker_refuses_the_permit(upstream: Upstream, connect: Connect) -> None:
    upstream.then(*[status(500)] * 5)
    app = AppAPI(connect(upstream.url, CREDENTIALS))
    for _ in range(5):
        with pytest.raises(UnknownOutcomeError):
            await app.send("email", b"{}")
    with pytest.raises(SuspendedError):
        async with app.permit():
            pytest.fail("a permit was given")
    assert len(upstream.bodies) == 5


async def test_a_breaker_that_opens_while_a_permit_is_held_stops_its_request(
    upstream: Upstream, connect: Connect
) -> None:
    upstream.then(status(429, Retry_After="60"))
    app = AppAPI(connect(upstream.url, CREDENTIALS))
    async with app.permit() as permit:
        with pytest.raises(RateLimitedError):
            await app.send("email", b"{}")
        with pytest.raises(RateLimitedError):
            await app.send("email", b"{}", permit=permit)
        assert not permit.is_used
    assert len(upstream.bodies) == 1


def test_a_429_pauses_the_rate_for_who_waits_already() -> None:
    async def main() -> None:
        remote = Remote()
        remote.error = RateLimitedError("slow down", status=429, retry_after=60.0)
        app = app_over(remote, 4.0)
        started = now()
        sends = (app.send("email", b"x", deadline=started + 2) for _ in range(4))
        results = await asyncio.gather(*sends, return_exceptions=True)
        assert [type(result) for result in results] == [RateLimitedError] * 4
        assert now() == pytest.approx(started + 2), "they wait for the rate, as long as they may"
        assert len(remote.sent) == 1

    run(main())


async def test_a_send_without_time_for_a_request_is_not_started(upstream: Upstream, connect: Connect) -> None:
    app = AppAPI(connect(upstream.url, CREDENTIALS))
    with pytest.raises(DeadlineExceededError):
        await app.send("email", b"{}", deadline=now() + 0.9)
    assert upstream.bodies == []


async def test_a_request_ends_by_the_deadline_though_its_own_timeout_is_longer(
    upstream: Upstream, connect: Connect
) -> None:
    silent = asyncio.Event()

    async def never(_request: web.Request, _body: bytes) -> web.StreamResponse:
        await silent.wait()
        return web.Response()

    upstream.then(never)
    app = AppAPI(connect(upstream.url, CREDENTIALS, timeout=60.0))
    started = now()
    with pytest.raises(UnknownOutcomeError):
        await app.send("email", b"{}", deadline=started + 1.1)
    assert now() - started < 5
    silent.set()
