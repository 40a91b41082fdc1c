import json
from collections.abc import Callable, Iterator, MutableMapping

import pytest
from typer.testing import Result

from ops import clients
from tests.secrets.fake_secret_manager import FakeSecretManager, running_secret_manager

Ops = Callable[..., Result]

NAME = "projects/demo-project/secrets/dev-cio-app-api-key"
IN_THE_CLOUD = ("--project", "demo-project", "--environment", "dev")


@pytest.fixture
def manager(environment: MutableMapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSecretManager]:
    del environment["PUBSUB_EMULATOR_HOST"]
    with running_secret_manager() as running:
        monkeypatch.setattr(clients, "secret_manager", running.client)
        yield running


def test_a_value_from_standard_input_becomes_the_newest_version(manager: FakeSecretManager, ops: Ops) -> None:
    manager.add(NAME, "old")
    result = ops("secrets", "set", "app-api-key", *IN_THE_CLOUD, given="canary-value\n")
    assert (result.exit_code, result.stdout) == (0, f"added {NAME}/versions/2\n")
    assert [value for _, value, _ in manager.secrets[NAME]] == [b"old", b"canary-value"]
    assert "canary" not in result.output


def test_json_names_the_secret_and_its_new_version(manager: FakeSecretManager, ops: Ops) -> None:
    manager.add(NAME, "old")
    result = ops("secrets", "set", "app-api-key", *IN_THE_CLOUD, "--json", given="canary-value\n")
    assert json.loads(result.stdout) == {"secret": NAME, "version": f"{NAME}/versions/2"}


@pytest.mark.parametrize("given", ["", "\n", "two words", "two\nlines", "t\u00e4xt"])
def test_what_cannot_be_a_key_is_refused_and_not_shown(manager: FakeSecretManager, ops: Ops, given: str) -> None:
    manager.add(NAME, "old")
    result = ops("secrets", "set", "app-api-key", *IN_THE_CLOUD, given=given)
    assert result.exit_code == 2
    assert not given.strip() or given.strip() not in result.output
    assert len(manager.secrets[NAME]) == 1


def test_a_secret_that_terraform_has_not_made_is_an_error(manager: FakeSecretManager, ops: Ops) -> None:
    result = ops("secrets", "set", "site-id", *IN_THE_CLOUD, given="value")
    assert result.exit_code == 1
    assert "projects/demo-project/secrets/dev-cio-site-id does not exist: run `terraform apply`" in result.stderr
    assert manager.secrets == {}


def test_an_unknown_name_is_refused(ops: Ops) -> None:
    assert ops("secrets", "set", "api-key", *IN_THE_CLOUD, given="value").exit_code == 2


def test_on_one_machine_there_is_no_secret_manager(ops: Ops) -> None:
    result = ops("secrets", "set", "site-id", "--project", "p", given="value")
    assert result.exit_code == 1
    assert "environment variables" in result.stderr
