"""The console answers its own page only."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from local.console.app import application
from local.console.forms import FORMS

OWN = "http://127.0.0.1:8706"


@pytest_asyncio.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    environment = {
        "GOOGLE_CLOUD_PROJECT": "p",
        "BIGQUERY_DATASET": "d",
        # Nobody listens there.
        "PUBSUB_EMULATOR_HOST": "127.0.0.1:9",
        "PUBSUB_ADMIN_URL": "http://127.0.0.1:9",
        "CUSTOMERIO_TRACK_URL": "http://127.0.0.1:9",
        "BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:9",
    }
    transport = httpx.ASGITransport(application(environment))
    async with httpx.AsyncClient(transport=transport, base_url=OWN) as made:
        yield made


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:8706", ""])
async def test_a_foreign_host_is_refused(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/", headers={"host": host})).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:8706", "localhost:8706"])
async def test_loopback_names_are_answered(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/", headers={"host": host})).status_code == 200


def entered(kind: str, **changed: str) -> dict[str, str]:
    """What a browser sends for a form, with some fields changed."""
    return {field.name: field.value for field in FORMS[kind].fields} | changed


CROSS_SITE = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:9999"},
    {"origin": "http://localhost:8706"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": OWN, "sec-fetch-site": "cross-site"},
]
CHANGES = ["/publish/send", "/customerio/down", "/dead-letters/send/1/replay", "/dead-letters/send/1/discard"]


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize("headers", CROSS_SITE, ids=str)
async def test_a_cross_site_post_is_refused(client: httpx.AsyncClient, path: str, headers: dict[str, str]) -> None:
    assert (await client.post(path, headers=headers)).status_code == 403


@pytest.mark.parametrize("headers", [{}, {"origin": OWN, "sec-fetch-site": "same-origin"}], ids=str)
async def test_a_post_of_the_own_page_reaches_its_handler(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await client.post("/publish/send", headers=headers, data=entered("send", to=""))
    assert answer.status_code == 422


async def test_every_answer_forbids_scripts_of_others_and_frames(client: httpx.AsyncClient) -> None:
    for answer in (
        await client.get("/"),
        await client.get("/nothing-here"),
        await client.get("/static/console.js"),
        await client.get("/htmx/htmx.min.js"),
        await client.post("/publish/send", headers=CROSS_SITE[0]),
    ):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_page_has_no_inline_script_or_style(client: httpx.AsyncClient) -> None:
    page = (await client.get("/")).text
    assert page.count("<script") == page.count('<script src="/') == 2
    assert " style=" not in page
    assert "<style" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")


async def test_a_form_error_is_shown_at_its_field(client: httpx.AsyncClient) -> None:
    answer = await client.post("/publish/send", data=entered("send", to=""))
    assert answer.status_code == 422
    assert 'id="field-to-error"' in answer.text
    assert 'aria-describedby="field-to-error field-to-hint" aria-invalid="true" autofocus' in answer.text


async def test_what_was_entered_is_shown_as_text(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/publish/track", data=entered("track", identifiers="<script>alert(1)</script>", name="")
    )
    assert answer.status_code == 422
    assert "<script>" not in answer.text
    assert "&lt;script&gt;" in answer.text


async def test_a_part_that_is_away_is_said_and_the_page_is_there(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    assert page.status_code == 200
    assert "Pub/Sub does not answer" in page.text
    published = await client.post(
        "/publish/track", data={"identifiers": "42", "name": "order_placed", "attributes": "", "copies": "1"}
    )
    assert published.status_code == 422
    assert "does not answer" in published.text


@pytest.mark.parametrize("path", ["/forms/pigeon", "/dead-letters/pigeon/1", "/jobs"])
async def test_what_is_not_there_is_404(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_a_form_that_is_too_large_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post("/publish/send", content=b"x" * 1_000_001)).status_code == 413
