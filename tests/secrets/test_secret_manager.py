import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc
import pytest

from shared.secrets import SecretManagerSecret, SecretUnavailableError, open_secret
from shared.settings import SecretSource
from tests.secrets.fake_secret_manager import FakeSecretManager, State, running_secret_manager

NAME = "projects/demo-project/secrets/cio-app-api-key"


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Subject:
    manager: FakeSecretManager
    clock: Clock = field(default_factory=Clock)
    clients: int = 0

    def secret(self) -> SecretManagerSecret:
        def client():  # type: ignore[no-untyped-def] # noqa: ANN202
            self.clients += 1
            return self.manager.client()

        return SecretManagerSecret(NAME, client=client, now=self.clock)

    def reads(self) -> int:
        return self.manager.calls.count("list")


@pytest.fixture
def subject() -> Iterator[Subject]:
    with running_secret_manager() as manager:
        yield Subject(manager)


async def test_the_newest_version_comes_first_and_disabled_ones_not_at_all(subject: Subject) -> None:
    for value, state in [("first", State.ENABLED), ("second", State.DISABLED), ("third", State.DESTROYED)]:
        subject.manager.add(NAME, value, state)
    subject.manager.add(NAME, "fourth\n")
    assert await subject.secret().values() == ("fourth", "first")


async def test_no_more_than_five_versions_are_read(subject: Subject) -> None:
    for number in range(12):
        subject.manager.add(NAME, str(number))
    assert await subject.secret().values() == ("11", "10", "9", "8", "7")
    assert subject.manager.calls == ["list"] + ["access"] * 5


async def test_values_are_kept_for_five_minutes(subject: Subject) -> None:
    subject.manager.add(NAME, "old")
    found = subject.secret()
    await found.values()
    subject.manager.add(NAME, "new")
    subject.clock.now += 299
    assert await found.values() == ("old",)
    subject.clock.now += 2
    assert await found.values() == ("new", "old")
    assert subject.clients == 1


async def test_one_reader_reads_for_all_that_wait(subject: Subject) -> None:
    subject.manager.add(NAME, "value")
    subject.manager.gate.clear()
    found = subject.secret()
    waiting = [asyncio.create_task(found.values()) for _ in range(50)]
    await asyncio.sleep(0)
    subject.manager.gate.set()
    assert set(await asyncio.gather(*waiting)) == {("value",)}
    assert subject.manager.calls == ["list", "access"]


async def test_a_refresh_reads_anew_but_not_more_often_than_every_five_seconds(subject: Subject) -> None:
    subject.manager.add(NAME, "old")
    found = subject.secret()
    await found.values()
    subject.manager.add(NAME, "new")
    subject.clock.now += 4.9
    await found.refresh()
    assert await found.values() == ("old",)
    subject.clock.now += 0.2
    await found.refresh()
    assert await found.values() == ("new", "old")
    assert subject.reads() == 2


@pytest.mark.parametrize("status", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.PERMISSION_DENIED])
async def test_the_last_known_values_are_given_while_secret_manager_is_down(
    subject: Subject, status: grpc.StatusCode
) -> None:
    subject.manager.add(NAME, "known")
    found = subject.secret()
    await found.values()
    subject.manager.down = status
    subject.clock.now += 301
    assert [await found.values() for _ in range(20)] == [("known",)] * 20
    assert subject.reads() == 2
    subject.manager.down = None
    subject.manager.add(NAME, "newer")
    subject.clock.now += 5.1
    assert await found.values() == ("newer", "known")


async def test_an_access_that_fails_is_not_tried_for_a_minute(subject: Subject) -> None:
    subject.manager.add(NAME, "value")
    subject.manager.access_down = grpc.StatusCode.UNAVAILABLE
    async with asyncio.timeout(3):
        with pytest.raises(SecretUnavailableError):
            await subject.secret().values()
    assert subject.manager.calls == ["list", "access"]


async def test_without_any_value_the_error_names_the_secret_and_the_fault(subject: Subject) -> None:
    subject.manager.down = grpc.StatusCode.UNAVAILABLE
    found = subject.secret()
    results = await asyncio.gather(*(found.values() for _ in range(50)), return_exceptions=True)
    assert {str(result) for result in results} == {f"{NAME}: ServiceUnavailable"}
    assert {type(result) for result in results} == {SecretUnavailableError}
    assert subject.reads() == 1, "all that wait share one failure"
    subject.manager.down = None
    subject.manager.add(NAME, "value")
    with pytest.raises(SecretUnavailableError):
        await found.values()
    subject.clock.now += 5.1
    assert await found.values() == ("value",)


async def test_a_secret_that_does_not_exist_is_named(subject: Subject) -> None:
    with pytest.raises(SecretUnavailableError, match=f"{NAME}: NotFound"):
        await subject.secret().values()


async def test_when_every_version_is_disabled_the_old_values_are_withdrawn(subject: Subject) -> None:
    version = subject.manager.add(NAME, "withdrawn-value")
    found = subject.secret()
    await found.values()
    subject.manager.disable(version)
    subject.clock.now += 301
    with pytest.raises(SecretUnavailableError, match="has no enabled version") as raised:
        await found.values()
    assert "withdrawn" not in str(raised.value)


async def test_a_value_that_is_no_text_is_not_quoted(subject: Subject) -> None:
    subject.manager.secrets[NAME] = [(f"{NAME}/versions/1", b"canary\xff", State.ENABLED)]
    with pytest.raises(SecretUnavailableError) as raised:
        await subject.secret().values()
    assert str(raised.value) == f"{NAME}: UnicodeDecodeError"
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


@pytest.mark.parametrize(
    ("text", "values"), [("one", ("one",)), ("new, old", ("new", "old")), (" a ,, b,", ("a", "b"))]
)
async def test_on_one_machine_a_variable_holds_the_values(text: str, values: tuple[str, ...]) -> None:
    found = open_secret(SecretSource(value=text))
    await found.refresh()
    assert await found.values() == values
    assert text.strip() not in repr(SecretSource(value=text))


def test_a_secret_that_is_named_is_read_from_secret_manager() -> None:
    assert isinstance(open_secret(SecretSource(name=NAME)), SecretManagerSecret)
