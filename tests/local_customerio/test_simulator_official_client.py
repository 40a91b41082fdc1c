"""The client that Customer.io publishes on PyPI, unmodified but for its scheme, against the simulator."""

import asyncio
from collections.abc import Iterator
from typing import Any

import customerio
import httpx
import pytest
from customerio.client_base import CustomerIOException

from local.customerio import Credentials, Simulator
from local.customerio.ids import new_ulid

ACCEPTED = Credentials()


class PlainCustomerIO(customerio.CustomerIO):  # type: ignore[misc]
    """`CustomerIO` takes a host and a port but insists on https, in batch() too; this sends the same over http."""

    def send_request(self, method: str, url: str, data: Any) -> Any:
        return super().send_request(method, url.replace("https://", "http://", 1), data)


@pytest.fixture
def official(sim: Simulator) -> Iterator[customerio.CustomerIO]:
    port = httpx.URL(sim.track_url).port
    with PlainCustomerIO(ACCEPTED.site_id, ACCEPTED.track_api_key, host="127.0.0.1", port=port) as client:
        yield client


@pytest.fixture
def official_app(sim: Simulator) -> Iterator[customerio.APIClient]:
    with customerio.APIClient(ACCEPTED.app_api_key, url=sim.app_url) as client:
        yield client


async def test_track_client(official: customerio.CustomerIO, track: httpx.AsyncClient) -> None:
    def use() -> None:
        official.identify(id="1/ä", email="a@example.com", plan="free")
        official.identify(id="2", plan="free")
        official.track("1/ä", "order", {"total": 5}, id=new_ulid(), timestamp=1_700_000_000)
        official.track_anonymous("anon", "seen", {"page": 1})
        official.pageview("1/ä", "/home", referer="/")
        official.backfill("1/ä", "old", 1_600_000_000, total=1)
        official.add_device("1/ä", "tok", "ios", last_used=1_700_000_000)
        official.delete_device("1/ä", "tok")
        official.merge_customers("id", "1/ä", "id", "2")
        official.identify(id="3")
        official.suppress("3")
        official.unsuppress("3")
        official.identify(id="4")
        official.delete("4")
        operation = {"type": "person", "action": "identify", "identifiers": {"id": "5"}}
        assert official.batch([operation]).json() == {}
        assert official.batch([operation, {"type": "person"}]).status_code == 207

    await asyncio.to_thread(use)
    people = (await track.get("/_sim/people")).json()
    assert [(person["id"], person["events"]) for person in people] == [("1/ä", 3), ("5", 0)]
    names = [(event["name"], event["type"]) for event in (await track.get("/_sim/events")).json()]
    assert names == [("order", "event"), ("seen", "event"), ("/home", "page"), ("old", "event")]
    assert {request["auth"] for request in (await track.get("/_sim/requests")).json()} == {"ok"}


async def test_app_client(official_app: customerio.APIClient, app: httpx.AsyncClient) -> None:
    who = {"transactional_message_id": 44, "identifiers": {"id": "1"}}

    def use() -> list[dict[str, Any]]:
        email = customerio.SendEmailRequest(to="a@example.com", **who)
        email.attach("a.txt", "text")
        return [
            official_app.send_email(email),
            official_app.send_push(customerio.SendPushRequest(**who)),
            official_app.send_sms(customerio.SendSMSRequest(**who)),
            official_app.send_whatsapp(customerio.SendWhatsAppRequest(**who)),
            official_app.send_inbox_message(customerio.SendInboxMessageRequest(**who)),
            official_app.send_in_app(customerio.SendInAppRequest(**who)),
        ]

    answers = await asyncio.to_thread(use)
    deliveries = (await app.get("/_sim/deliveries")).json()
    assert [delivery["delivery_id"] for delivery in deliveries] == [answer["delivery_id"] for answer in answers]
    assert len(deliveries) == 6


async def test_refusals_raise_in_the_official_client(
    official: customerio.CustomerIO, official_app: customerio.APIClient
) -> None:
    with pytest.raises(CustomerIOException, match=r"^400: .*valid ULID"):
        await asyncio.to_thread(official.track, "1", "order", None, "not-a-ulid")
    with pytest.raises(CustomerIOException, match=r"^400: .*identifiers"):
        await asyncio.to_thread(official_app.send_email, {"to": "a@example.com", "transactional_message_id": 1})
