"""BigQueryWarehouse and the official client against a server that answers insertAll as told."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client

from shared import warehouse as module
from shared.warehouse import BigQueryWarehouse, RowRejectedError, WarehouseUnavailableError
from tests.function_process import free_port

Rows = list[dict[str, Any]]
Answer = Callable[[Rows], Awaitable[web.Response]]


async def taken(_: Rows) -> web.Response:
    return web.json_response({})


def errors(*rejected: tuple[int, dict[str, str]]) -> web.Response:
    return web.json_response({"insertErrors": [{"index": index, "errors": [error]} for index, error in rejected]})


def refusal(status: int, reason: str) -> web.Response:
    error = {"code": status, "message": "for ada@example.com", "errors": [{"reason": reason, "message": "m"}]}
    return web.json_response({"error": error}, status=status)


class Unchanging(AnonymousCredentials):
    def refresh(self, request: Any) -> None:
        """Ask nobody: a refused token is refused again."""


class FakeBigQuery:
    def __init__(self) -> None:
        self.requests: list[Rows] = []
        self.sizes: list[int] = []
        self.answer: Answer = taken
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        text = await request.text()
        body = json.loads(text)
        assert request.path.endswith("/projects/p/datasets/d/tables/t/insertAll")
        assert body["skipInvalidRows"] is True
        self.requests.append(body["rows"])
        self.sizes.append(len(text))
        return await self.answer(body["rows"])

    def warehouse(self) -> BigQueryWarehouse:
        return BigQueryWarehouse("p.d.t", new_client=self.client)

    def client(self, project: str) -> Client:
        credentials = Unchanging()  # type: ignore[no-untyped-call]
        return Client(project, credentials, client_options=ClientOptions(api_endpoint=self.url))


@pytest_asyncio.fixture
async def server() -> AsyncIterator[FakeBigQuery]:
    fake = FakeBigQuery()
    app = web.Application(client_max_size=100_000_000)
    app.router.add_post("/{path:.*}", fake.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port := free_port())
    await site.start()
    fake.url = f"http://127.0.0.1:{port}"
    yield fake
    await runner.cleanup()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROW_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(module, "ROW_ATTEMPT_SECONDS", 0.2)


async def fates(warehouse: BigQueryWarehouse, count: int) -> list[BaseException | None]:
    inserts = (warehouse.insert({"n": number}, f"id-{number}") for number in range(count))
    return await asyncio.gather(*inserts, return_exceptions=True)


async def test_rows_that_wait_travel_together_up_to_500(server: FakeBigQuery) -> None:
    assert await fates(server.warehouse(), 1200) == [None] * 1200
    assert sorted(len(rows) for rows in server.requests) == [200, 500, 500]
    sent = {row["insertId"]: row["json"] for rows in server.requests for row in rows}
    assert sent == {f"id-{number}": {"n": number} for number in range(1200)}


async def test_a_request_stays_below_5_mb_as_the_client_writes_it(server: FakeBigQuery) -> None:
    warehouse = server.warehouse()
    row = {"raw": "é" * 150_000}  # 300 KB of UTF-8, 900 KB as JSON escapes
    await asyncio.gather(*(warehouse.insert(row, str(number)) for number in range(20)))
    assert len(server.requests) == 4
    assert max(server.sizes) < 5_000_000


async def test_a_row_above_5_mb_is_rejected_unsent(server: FakeBigQuery) -> None:
    with pytest.raises(RowRejectedError, match=r"the row takes 50\d{5} bytes, limit 5000000") as caught:
        await server.warehouse().insert({"raw": "x" * 5_000_000}, "id")
    assert caught.value.reason == "too_large"
    assert server.requests == []


async def test_four_requests_at_a_time_and_what_comes_meanwhile_gathers(server: FakeBigQuery) -> None:
    release, held = asyncio.Event(), asyncio.Event()

    async def hold(_: Rows) -> web.Response:
        if len(server.requests) == 4:
            held.set()
        await release.wait()
        return web.json_response({})

    server.answer = hold
    warehouse = server.warehouse()
    first = asyncio.create_task(fates(warehouse, 4 * 500))
    await held.wait()
    later = [asyncio.create_task(warehouse.insert({}, f"later-{number}")) for number in range(30)]
    await asyncio.sleep(0.05)  # ten times as long as rows gather
    assert len(server.requests) == 4
    release.set()
    await asyncio.gather(first, *later)
    assert [len(rows) for rows in server.requests] == [500] * 4 + [30]


async def test_each_caller_learns_the_fate_of_its_own_row(server: FakeBigQuery) -> None:
    async def two_bad(_: Rows) -> web.Response:
        message = "Cannot convert value to integer (bad value): ada@example.com"
        return errors(
            (1, {"reason": "invalid", "location": "campaign_id", "message": message}),
            (3, {"reason": "backendError", "location": "", "message": "ada@example.com"}),
        )

    server.answer = two_bad
    good, invalid, other, passing, last = await fates(server.warehouse(), 5)
    assert good is other is last is None
    assert isinstance(invalid, RowRejectedError)
    assert (invalid.reason, invalid.field) == ("invalid", "campaign_id")
    assert invalid.message == "Cannot convert value to integer"
    assert isinstance(passing, WarehouseUnavailableError)
    assert (passing.reason, passing.needs_operator) == ("backendError", False)
    assert "ada" not in f"{invalid} {passing}"


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("Invalid timestamp: 'ada'", "Invalid timestamp"),
        ("Could not parse 'ada' as a timestamp", "Could not parse"),
        (
            "The destination table's partition events$20090213 is outside the allowed bounds.",
            "The destination table's partition events$20090213 is outside the allowed bounds.",
        ),
        ("", ""),
    ],
)
async def test_a_rejection_quotes_no_value(server: FakeBigQuery, message: str, kept: str) -> None:
    async def bad(_: Rows) -> web.Response:
        return errors((0, {"reason": "invalid", "message": message}))

    server.answer = bad
    with pytest.raises(RowRejectedError) as caught:
        await server.warehouse().insert({}, "id")
    assert caught.value.message == kept


async def test_a_table_without_our_column_holds_the_rows(server: FakeBigQuery) -> None:
    async def behind(rows: Rows) -> web.Response:
        error = {"reason": "invalid", "location": "newest", "message": "no such field: newest."}
        return errors(*((index, error) for index in range(len(rows))))

    server.answer = behind
    for fate in await fates(server.warehouse(), 3):
        assert isinstance(fate, WarehouseUnavailableError)
        assert (fate.reason, fate.needs_operator) == ("column_missing:newest", True)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("status", "reason", "needs_operator"),
    [
        (401, "authError", True),
        (403, "accessDenied", True),
        (403, "rateLimitExceeded", False),
        (403, "quotaExceeded", False),
        (404, "notFound", True),
        (429, "rateLimitExceeded", False),
        (500, "internalError", False),
        (503, "backendError", False),
    ],
)
async def test_a_refused_request_rejects_no_row(
    server: FakeBigQuery, status: int, reason: str, *, needs_operator: bool
) -> None:
    async def refused(_: Rows) -> web.Response:
        return refusal(status, reason)

    server.answer = refused
    for fate in await fates(server.warehouse(), 3):
        assert isinstance(fate, WarehouseUnavailableError)
        assert (fate.status, fate.reason, fate.needs_operator) == (status, reason, needs_operator)
        assert "ada" not in str(fate)


@pytest.mark.parametrize(("code", "reason"), [(400, "invalid"), (400, "badRequest"), (413, "uploadTooLarge")])
async def test_a_request_refused_for_its_content_rejects_only_the_row_at_fault(
    server: FakeBigQuery, code: int, reason: str
) -> None:
    async def refuse_7(rows: Rows) -> web.Response:
        return refusal(code, reason) if any(row["json"]["n"] == 7 for row in rows) else web.json_response({})

    server.answer = refuse_7
    results = await fates(server.warehouse(), 16)
    rejected = results.pop(7)
    assert results == [None] * 15
    assert isinstance(rejected, RowRejectedError)
    assert rejected.reason == reason
    assert "ada" not in str(rejected)
    assert len(server.requests) == 9


async def test_a_row_is_given_back_by_its_deadline(server: FakeBigQuery) -> None:
    silent = asyncio.Event()

    async def never(_: Rows) -> web.Response:
        await silent.wait()
        return web.json_response({})

    server.answer = never
    warehouse = server.warehouse()
    loop = asyncio.get_running_loop()
    for seconds in (0.5, 1.1):  # too little for a request, and too little for this one
        with pytest.raises(WarehouseUnavailableError, match="timeout"):
            await warehouse.insert({}, "id", deadline=loop.time() + seconds)
    assert len(server.requests) == 1
    silent.set()


@pytest.mark.parametrize("spare", [0, 1])
async def test_a_row_of_exactly_the_limit_is_sent(server: FakeBigQuery, spare: int) -> None:
    frame = len(json.dumps({"raw": ""})) + len("id")
    row = {"raw": "x" * (5_000_000 - frame - spare)}
    await asyncio.gather(server.warehouse().insert(row, "id"), server.warehouse().insert({}, "other"))
    assert sorted(len(rows) for rows in server.requests) == [1, 1]


async def test_500_rows_fill_a_request_and_the_next_row_starts_another(server: FakeBigQuery) -> None:
    assert await fates(server.warehouse(), 501) == [None] * 501
    assert sorted(len(rows) for rows in server.requests) == [1, 500]  # they are on the wire together


@pytest.mark.usefixtures("impatient")
async def test_no_answer_is_for_later(server: FakeBigQuery) -> None:
    silent = asyncio.Event()

    async def never(_: Rows) -> web.Response:
        await silent.wait()
        return web.json_response({})

    server.answer = never
    with pytest.raises(WarehouseUnavailableError, match="Timeout"):
        await server.warehouse().insert({}, "id")
    silent.set()


@pytest.mark.usefixtures("impatient")
async def test_nobody_there_is_for_later() -> None:
    absent = FakeBigQuery()
    absent.url = f"http://127.0.0.1:{free_port()}"
    nobody = absent.warehouse()
    with pytest.raises(WarehouseUnavailableError):
        await nobody.insert({}, "id")


async def test_a_passing_fault_is_got_over(server: FakeBigQuery) -> None:
    async def at_first(_: Rows) -> web.Response:
        return refusal(503, "backendError") if len(server.requests) == 1 else web.json_response({})

    server.answer = at_first
    await server.warehouse().insert({}, "id")
    assert [[row["insertId"] for row in rows] for rows in server.requests] == [["id"], ["id"]]


async def test_a_caller_that_left_is_not_sent_and_hurts_nobody(server: FakeBigQuery) -> None:
    warehouse = server.warehouse()
    leaving = asyncio.create_task(warehouse.insert({}, "leaving"))
    staying = asyncio.create_task(warehouse.insert({}, "staying"))
    await asyncio.sleep(0)
    leaving.cancel()
    await staying
    gone = asyncio.create_task(warehouse.insert({}, "gone"))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0.05)  # ten times as long as rows gather
    assert [[row["insertId"] for row in rows] for rows in server.requests] == [["staying"]]


async def test_a_fault_of_ours_reaches_the_callers() -> None:
    def broken(_: str) -> Any:
        raise ZeroDivisionError

    warehouse = BigQueryWarehouse("p.d.t", new_client=broken)
    assert [type(fate) for fate in await fates(warehouse, 2)] == [ZeroDivisionError] * 2
