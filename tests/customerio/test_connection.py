import asyncio
import base64
import socket

import pytest
from aiohttp import web

from shared.customerio.app import AppAPI
from shared.customerio.errors import (
    ConfigurationError,
    CredentialsRefusedError,
    CustomerIOError,
    DeadlineExceededError,
    NothingSentError,
    RejectedError,
    UnknownOutcomeError,
    UnreachableError,
    WrongRegionError,
)
from shared.customerio.http import BasicCredentials, BearerCredentials, Connection
from shared.secrets import EnvironmentSecret, SecretUnavailableError
from tests.customerio.conftest import Connect, Rotating, Upstream, reset, status

CREDENTIALS = BearerCredentials(EnvironmentSecret("app-key"))


async def test_basic_credentials_are_the_site_id_and_the_key(upstream: Upstream, connection: Connection) -> None:
    await connection.post("/x", b"{}")
    assert upstream.authorizations == ["Basic " + base64.b64encode(b"site:key").decode()]


async def test_refused_credentials_are_read_anew_once_and_the_request_repeated(
    upstream: Upstream, connect: Connect
) -> None:
    upstream.then(status(401))
    key = Rotating("old", "new")
    connection = connect(upstream.url, BearerCredentials(key))
    await connection.post("/x", b"{}")
    assert upstream.authorizations == ["Bearer old", "Bearer new"]


async def test_credentials_refused_twice_hold(upstream: Upstream, connect: Connect) -> None:
    upstream.then(status(401), status(401))
    site_id, key = Rotating("site"), Rotating("key", "newer key")
    connection = connect(upstream.url, BasicCredentials(site_id, key))
    with pytest.raises(CredentialsRefusedError):
        await connection.post("/x", b"{}")
    assert (len(upstream.bodies), site_id.refreshed, key.refreshed) == (2, 1, 1)


async def test_credentials_that_were_refused_and_did_not_change_are_not_tried_again(
    upstream: Upstream, connect: Connect
) -> None:
    upstream.then(status(401))
    key = Rotating("key")
    with pytest.raises(CredentialsRefusedError):
        await connect(upstream.url, BearerCredentials(key)).post("/x", b"{}")
    assert (upstream.authorizations, key.refreshed) == (["Bearer key"], 1)


async def test_the_next_enabled_version_is_tried_and_the_one_that_worked_is_remembered(
    upstream: Upstream, connect: Connect
) -> None:
    upstream.then(status(401))
    connection = connect(upstream.url, BearerCredentials(EnvironmentSecret("mistyped,valid")))
    for _ in range(2):
        await connection.post("/x", b"{}")
    assert upstream.authorizations == ["Bearer mistyped", "Bearer valid", "Bearer valid"]


async def test_each_pair_of_enabled_versions_is_tried_up_to_five_and_then_the_job_waits(
    upstream: Upstream, connect: Connect
) -> None:
    upstream.then(*[status(401)] * 20)
    credentials = BasicCredentials(EnvironmentSecret("s1,s2"), EnvironmentSecret("k1,k2,k3"))
    with pytest.raises(CredentialsRefusedError):
        await connect(upstream.url, credentials).post("/x", b"{}")
    pairs = [base64.b64decode(header.removeprefix("Basic ")).decode() for header in upstream.authorizations]
    assert pairs == ["s1:k1", "s1:k2", "s1:k3", "s2:k1", "s2:k2"]


class Unreadable:
    async def values(self) -> tuple[str, ...]:
        raise SecretUnavailableError("projects/p/secrets/s: has no enabled version")

    async def refresh(self) -> None:
        return None


async def test_a_secret_that_cannot_be_read_holds_under_its_own_name_and_sends_nothing(
    upstream: Upstream, connect: Connect
) -> None:
    app = AppAPI(connect(upstream.url, BearerCredentials(Unreadable())))
    for _ in range(8):  # more failures than open the breaker
        with pytest.raises(ConfigurationError) as caught:
            await app.send("email", b"{}")
        assert isinstance(caught.value, NothingSentError)
        assert caught.value.reason == "secret_unavailable"
    assert upstream.bodies == []


async def test_a_timeout_while_connecting_has_sent_nothing(connect: Connect) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        waiting = [socket.socket() for _ in range(4)]  # they fill the backlog, so that the next SYN is not answered
        try:
            for each in waiting:
                each.settimeout(0)
                each.connect_ex(address)
            with pytest.raises(UnreachableError):
                await connect(f"http://127.0.0.1:{address[1]}", CREDENTIALS, timeout=0.6).post("/x", b"{}")
        finally:
            for each in waiting:
                each.close()


async def test_proxies_of_the_environment_are_not_used(
    upstream: Upstream, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    await connect(upstream.url, CREDENTIALS).post("/x", b"{}")
    assert upstream.paths == ["/x"]


async def test_no_request_starts_that_cannot_end_by_the_deadline(upstream: Upstream, connection: Connection) -> None:
    loop = asyncio.get_running_loop()
    for seconds in (-1.0, 0.0, 0.95):
        with pytest.raises(DeadlineExceededError):
            await connection.post("/x", b"{}", deadline=loop.time() + seconds)
    assert upstream.bodies == []


async def test_a_redirect_is_a_wrong_region_and_is_not_followed(upstream: Upstream, connection: Connection) -> None:
    upstream.then(status(301, Location="https://track-eu.customer.io/api/v2/batch"))
    with pytest.raises(WrongRegionError, match="CUSTOMERIO_REGION=eu"):
        await connection.post("/api/v2/batch", b"{}")
    assert len(upstream.bodies) == 1


@pytest.mark.parametrize(
    ("body", "message", "field", "reason"),
    [
        ({"meta": {"error": "no such template"}}, "no such template", "", "rejected"),
        ({"meta": {"errors": ["one", "two"]}}, "one; two", "", "rejected"),
        ({"errors": [{"detail": "ids", "status": "422"}]}, "ids", "", "rejected"),
        ({"errors": [{"reason": "required", "field": "to", "message": "missing"}]}, "missing", "to", "required"),
        ([1, 2], "Customer.io answered 400", "", "rejected"),
    ],
)
async def test_each_shape_of_explanation_is_read(
    upstream: Upstream, connection: Connection, body: object, message: str, field: str, reason: str
) -> None:
    upstream.then(status(400, body))
    with pytest.raises(RejectedError) as caught:
        await connection.post("/x", b"{}")
    assert (caught.value.message, caught.value.field, caught.value.reason) == (message, field, reason)


@pytest.mark.parametrize("code", [400, 403, 404, 413, 422])
async def test_what_can_never_succeed_is_rejected(upstream: Upstream, connection: Connection, code: int) -> None:
    upstream.then(status(code, {"meta": {"error": "no such template"}}))
    with pytest.raises(RejectedError):
        await connection.post("/x", b"{}")


async def test_refused_and_unresolvable_connections_have_sent_nothing(connect: Connect) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refused = f"http://127.0.0.1:{unused.getsockname()[1]}"
        for url in (refused, "http://nowhere.invalid"):
            connection = connect(url, CREDENTIALS)
            with pytest.raises(UnreachableError):
                await connection.post("/x", b"{}")


async def test_tls_that_fails_has_sent_nothing(upstream: Upstream, connect: Connect) -> None:
    connection = connect(upstream.url.replace("http:", "https:"), CREDENTIALS)
    with pytest.raises(NothingSentError):
        await connection.post("/x", b"{}")
    assert upstream.bodies == []


async def test_a_connection_lost_after_the_request_is_an_unknown_outcome_and_a_send_goes_out_once(
    upstream: Upstream, connect: Connect
) -> None:
    upstream.then(reset, reset)
    app = AppAPI(connect(upstream.url, CREDENTIALS))
    with pytest.raises(UnknownOutcomeError):
        await app.send("email", b"{}")
    assert upstream.paths == ["/v1/send/email"]


async def test_no_answer_in_time_is_an_unknown_outcome(upstream: Upstream, connect: Connect) -> None:
    async def drip(request: web.Request, _body: bytes) -> web.StreamResponse:
        # A byte now and then keeps every per-read timeout alive: only one over the whole request ends it.
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            if request.transport is None or request.transport.is_closing():
                return response
            await asyncio.sleep(0.02)

    upstream.then(drip)
    connection = connect(upstream.url, CREDENTIALS, timeout=0.3)
    with pytest.raises(UnknownOutcomeError, match=r"0\.3 s"):
        await connection.post("/x", b"{}")


async def test_sends_and_triggers_return_what_customerio_named_them(upstream: Upstream, connect: Connect) -> None:
    upstream.then(status(200, {"delivery_id": "d-1", "queued_at": 1}), status(200, {"id": 17}), status(200, "odd"))
    app = AppAPI(connect(upstream.url, CREDENTIALS))
    assert await app.send("push", b"{}") == "d-1"
    assert await app.trigger(3, b"{}") == "17"
    assert await app.send("sms", b"{}") == ""
    assert upstream.paths == ["/v1/send/push", "/v1/campaigns/3/triggers", "/v1/send/sms"]


async def test_errors_hold_no_body_and_no_key(upstream: Upstream, connect: Connect) -> None:
    upstream.then(status(500), reset)
    connection = connect(upstream.url, BearerCredentials(EnvironmentSecret("canary-key")))
    for _ in range(2):
        with pytest.raises(CustomerIOError) as caught:
            await connection.post("/x", b'{"email": "canary@example.com"}')
        assert "canary" not in f"{caught.value!r}{caught.value}{caught.value.__dict__}"
        assert caught.value.__cause__ is None
