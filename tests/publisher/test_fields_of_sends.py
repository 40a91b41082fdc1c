"""The keyword arguments of the send methods and of broadcast are the fields of the forms in shared.jobs."""

import inspect
from typing import Any

import msgspec
import pytest

from shared.jobs import SCHEMAS
from shared.jobs.broadcast import Broadcast
from shared.jobs.send import SEND_FORMS
from shared.publisher import Publisher
from tests.publisher.recording import recording

OURS = {"self", "options"}


def arguments(method: str) -> dict[str, inspect.Parameter]:
    return {
        name.rstrip("_"): each
        for name, each in inspect.signature(getattr(Publisher, method)).parameters.items()
        if name not in OURS
    }


@pytest.mark.parametrize("channel", SEND_FORMS)
def test_a_send_takes_the_fields_of_its_form(channel: str) -> None:
    taken = arguments(f"send_{channel}")
    assert taken.keys() == {field.encode_name for field in msgspec.structs.fields(SEND_FORMS[channel])}
    for field in msgspec.structs.fields(SEND_FORMS[channel]):
        # Only an email can do without a template.
        required = field.required or (field.name == "transactional_message_id" and channel != "email")
        assert (taken[field.encode_name].default is inspect.Parameter.empty) is required, field.name


def test_a_broadcast_takes_the_fields_of_its_form() -> None:
    assert arguments("broadcast").keys() - {"audience"} == {
        field.encode_name for field in msgspec.structs.fields(Broadcast)
    }
    assert SCHEMAS["broadcast"] == [Broadcast]


@pytest.mark.parametrize("channel", SEND_FORMS)
def test_every_field_reaches_the_message_under_its_name(channel: str) -> None:
    form = SEND_FORMS[channel]
    values: dict[str, Any] = {"identifiers": {"id": "42"}, "transactional_message_id": 7}
    examples = {"send_at": 1_777_636_800, "headers": {"X": "1"}, "attachments": {"a.txt": "aGk="}}
    for field in msgspec.structs.fields(form):
        if field.encode_name not in values:
            kind = str(field.type)
            default: Any = {} if "dict" in kind else True if "bool" in kind else "text"
            values[field.encode_name] = examples.get(field.encode_name, default)
    publisher, jobs = recording()
    named = {"from_" if name == "from" else name: value for name, value in values.items()}
    getattr(publisher, f"send_{channel}")(**named)
    assert jobs[0].body == values
    assert jobs[0].attributes["channel"] == channel


@pytest.mark.parametrize("channel", SEND_FORMS)
def test_a_misspelt_field_is_refused(channel: str) -> None:
    publisher, jobs = recording()
    send = getattr(publisher, f"send_{channel}")
    to = {"to": "ada@example.com"} if channel == "email" else {}
    with pytest.raises(TypeError, match="mesage_data"):
        send(identifiers={"id": "42"}, transactional_message_id=7, mesage_data={"order": 1}, **to)
    assert jobs == []


def test_a_field_that_this_release_does_not_name_can_be_sent() -> None:
    publisher, jobs = recording()
    publisher.send("push", {"identifiers": {"id": "42"}, "transactional_message_id": 7, "cio_new": 1})
    assert jobs[0].body["cio_new"] == 1
