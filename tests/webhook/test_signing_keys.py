import asyncio

import pytest

from shared import deadlines
from shared.handlers.signing_keys import SigningKeys
from shared.secrets import SecretUnavailableError
from tests.webhook.fakes import Clock, FakeSecret


async def test_a_new_key_is_seen_at_once_and_callers_cannot_cause_more_than_a_read_in_5_seconds() -> None:
    secret, clock = FakeSecret("old"), Clock()
    keys = SigningKeys(secret, now=clock)
    assert await keys.kept() == ("old",)
    secret.current = ("new", "old")
    clock.now += 5
    assert await keys.newest() == ("new", "old")
    for _ in range(1000):
        await keys.newest()
        clock.now += 0.004
    assert secret.reads == 2
    clock.now += 1.1
    await asyncio.gather(*(keys.newest() for _ in range(100)))
    assert secret.reads == 3


async def test_while_keys_are_known_nobody_waits_long_for_a_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "SIGNING_KEY_WAIT_SECONDS", 0.02)
    secret, clock = FakeSecret("old"), Clock()
    keys = SigningKeys(secret, now=clock)
    await keys.kept()
    secret.current, secret.slow = ("new",), asyncio.Event()
    clock.now += 60
    assert await keys.kept() == ("old",)
    secret.slow.set()
    assert await keys.newest() == ("new",)
    assert secret.reads == 2


async def test_a_withdrawn_key_is_refused_by_the_first_webhook_after_a_minute() -> None:
    secret, clock = FakeSecret("new", "old"), Clock()
    keys = SigningKeys(secret, now=clock)
    await keys.kept()
    secret.current = ("new",)
    clock.now += 60
    assert await keys.kept() == ("new",)


async def test_the_secret_is_refreshed_before_each_read() -> None:
    secret, clock = FakeSecret("old"), Clock()
    keys = SigningKeys(secret, now=clock)
    for reads in (1, 2, 3):
        await keys.newest()
        assert (secret.refreshed, secret.reads) == (reads, reads)
        clock.now += 5


async def test_many_callers_at_once_cause_one_read() -> None:
    secret = FakeSecret("key")
    secret.slow = asyncio.Event()
    keys = SigningKeys(secret)
    callers = [asyncio.ensure_future(keys.kept()) for _ in range(20)]
    await asyncio.sleep(0)
    secret.slow.set()
    assert await asyncio.gather(*callers) == [("key",)] * 20
    assert secret.reads == 1


async def test_known_keys_outlive_an_outage_of_the_secret() -> None:
    secret, clock = FakeSecret("old"), Clock()
    keys = SigningKeys(secret, now=clock)
    await keys.kept()
    secret.down = True
    clock.now += 100
    assert await keys.newest() == ("old",)


async def test_when_no_version_is_enabled_any_more_no_key_is_accepted() -> None:
    secret, clock = FakeSecret("old"), Clock()
    keys = SigningKeys(secret, now=clock)
    await keys.kept()
    secret.current = ()
    clock.now += 60
    with pytest.raises(SecretUnavailableError):
        await keys.kept()
    secret.current = ("new",)
    clock.now += 5
    assert await keys.kept() == ("new",)


async def test_with_no_key_known_every_caller_is_told_and_reads_stay_bounded() -> None:
    secret, clock = FakeSecret(), Clock()
    keys = SigningKeys(secret, now=clock)
    for _ in range(50):
        with pytest.raises(SecretUnavailableError):
            await keys.kept()
    assert secret.reads == 1
    secret.current = ("key",)
    clock.now += 5
    assert await keys.kept() == ("key",)


async def test_a_caller_that_gives_up_does_not_end_the_read() -> None:
    secret = FakeSecret("key")
    secret.slow = asyncio.Event()
    keys = SigningKeys(secret)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await keys.kept()
    secret.slow.set()
    assert await keys.kept() == ("key",)
    assert secret.reads == 1
