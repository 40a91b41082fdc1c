"""Turned away for the key or the region: held, never dead-lettered, and one alarm for all of it."""

import asyncio

import pytest

from tests.customerio.conftest import Rotating, status
from tests.handlers.conftest import Make
from tests.handlers.handler_helpers import Around, Function, Push, lines

PERSON = {"identifiers": {"id": "42"}}


def person(number: int) -> Push:
    return Push({"identifiers": {"id": number}}, {"job_id": f"j{number}"})


async def test_a_rotated_key_is_read_anew_and_the_job_done(function: Make, around: Around) -> None:
    around.upstream.then(status(401))
    key = Rotating("old", "new")
    assert (
        await function("send", secret=key).push(
            Push({**PERSON, "transactional_message_id": 1, "to": "ada@example.com"})
        )
        == 204
    )
    assert key.refreshed == 1
    assert around.upstream.authorizations == ["Bearer old", "Bearer new"]


@pytest.mark.parametrize(
    ("refusal", "reason"), [(401, "credentials_refused"), (301, "wrong_region"), (307, "wrong_region")]
)
async def test_many_pushes_are_held_with_one_alarm(
    function: Make, around: Around, capsys: pytest.CaptureFixture[str], refusal: int, reason: str
) -> None:
    around.upstream.then(*[status(refusal, Location="https://track-eu.customer.io/x")] * 50)
    key = Rotating("key")
    held = function("identify", secret=key)
    at_once = await asyncio.gather(*(held.push(person(n)) for n in range(200)))
    later = [await held.push(person(n)) for n in range(200, 220)]
    assert set(at_once) | set(later) == {503}
    assert key.refreshed == (1 if refusal == 401 else 0)
    assert len(around.upstream.bodies) == 1
    assert around.pubsub.published == []
    written = lines(capsys.readouterr().out)
    assert len(written) == 220
    assert {line["reason"] for line in written} == {reason}
    assert [line["severity"] for line in written].count("CRITICAL") == 1
    assert "Customer.io" in written[0]["message"]


async def test_a_second_reason_is_a_second_alarm_and_so_is_the_first_one_after_it_was_over(
    function: Make, around: Around, capsys: pytest.CaptureFixture[str]
) -> None:
    probing = {"Retry_After": "0"}
    around.upstream.then(status(301), status(429, **probing), status(200), status(301))
    held = function("identify")

    async def severities(*numbers: int) -> list[str]:
        for number in numbers:
            await held.push(person(number))
        return [line["severity"] for line in lines(capsys.readouterr().out)]

    assert await severities(1, 2) == ["CRITICAL", "WARNING"]
    await asyncio.sleep(1.05)  # the pause is over
    assert await severities(3, 4) == ["WARNING", "INFO"]
    assert await severities(5) == ["CRITICAL"]


async def test_what_makes_no_call_does_not_end_the_alarm(
    sync: Function, around: Around, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await sync.push(Push({"id": "1"})) == 204
    around.upstream.then(*[status(301)] * 50)
    for _ in range(3):
        assert await sync.push(Push({"id": "2"})) == 503
        assert await sync.push(Push({"id": "1"})) == 204
    severities = [line["severity"] for line in lines(capsys.readouterr().out)]
    assert severities.count("CRITICAL") == 1
