"""One form for each kind of job: its fields, the job they make, and which field an error belongs to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from ops import job_builder
from ops.jobs import read_person
from shared.jobs import CHANNELS, InvalidJob

MAX_COPIES = 500

Control = Literal["person", "text", "template", "object", "merged", "list", "attribute", "copies"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form.

    Args:
        name: Field of the job's body, or attribute of the message.
        label: Label for people.
        control: How the text becomes a value. ``merged`` is an object whose members become fields of the body.
        value: Text that the field starts with.
        hint: A sentence below the field.
        choices: Accepted values of a choice.
        stands_for: Further fields of the body, whose errors are shown here.
    """

    name: str
    label: str
    control: Control = "text"
    value: str = ""
    hint: str = ""
    choices: tuple[str, ...] = ()
    stands_for: tuple[str, ...] = ()

    @property
    def is_short(self) -> bool:
        """Whether two such fields stand side by side."""
        return self.control in {"attribute", "copies", "person", "template", "text"}


@dataclass(frozen=True, slots=True)
class Form:
    """The form of one kind of job."""

    kind: str
    label: str
    purpose: str
    fields: tuple[Field, ...]


class FormError(ValueError):
    """A job that cannot be published as it was entered.

    Args:
        field: Name of the form's field at fault; empty for the job as a whole.
        problem: What is wrong and what is expected.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field
        self.problem = problem


_PERSON = Field("identifiers", "Person", "person", "42", "An id, or an email address.")
_COPIES = Field("copies", "Copies", "copies", "1", f"Each is a job of its own; 1 to {MAX_COPIES}.")
_MORE = Field("more", "More fields", "merged", "", "A JSON object; optional. docs/jobs.md lists every field.")

FORMS = {
    form.kind: form
    for form in (
        Form(
            "send",
            "Send a message",
            "One transactional message to one person, through the App API.",
            (
                Field("channel", "Channel", "attribute", "email", choices=CHANNELS),
                Field(
                    "transactional_message_id",
                    "Template",
                    "template",
                    "7",
                    "Number or trigger name.",
                    # A message without a template needs these, which the form has no fields for.
                    stands_for=("body", "subject", "from"),
                ),
                _PERSON,
                Field("to", "To", "text", "ada@example.com", "bounce@… bounces, drop@… is dropped."),
                Field("message_data", "Message data", "object", '{"order": 1001}', "A JSON object for the template."),
                _MORE,
                _COPIES,
            ),
        ),
        Form(
            "identify",
            "Identify a person",
            "Create a person, or change their attributes.",
            (
                _PERSON,
                Field("attributes", "Attributes", "object", '{"email": "ada@example.com", "plan": "pro"}', "JSON."),
                _MORE,
                _COPIES,
            ),
        ),
        Form(
            "track",
            "Track an event",
            "Something that a person did.",
            (
                _PERSON,
                Field("name", "Event", "text", "order_placed"),
                Field("attributes", "Attributes", "object", '{"total": 42}', "A JSON object; optional."),
                _MORE,
                _COPIES,
            ),
        ),
        Form(
            "broadcast",
            "Trigger a broadcast",
            "One API-triggered broadcast. Customer.io takes one every ten seconds.",
            (
                Field("broadcast_id", "Broadcast", "template", "12", "Its number."),
                Field("ids", "People", "list", "42", "Ids, separated by commas."),
                Field("data", "Data", "object", '{"headline": "Hello"}', "A JSON object; optional."),
                _MORE,
                _COPIES,
            ),
        ),
        Form(
            "sync",
            "Sync a user",
            "Your application's own record of a user.",
            (
                Field("id", "User", "text", "42", "The user's id."),
                Field("more", "Record", "merged", '{"email": "ada@example.com", "plan": "pro"}', "A JSON object."),
                _COPIES,
            ),
        ),
    )
}


def build(form: Form, entered: Mapping[str, str]) -> list[job_builder.Job]:
    """Build the jobs that a filled-in form describes, checked as the function checks them.

    Raises:
        FormError: if a field is wrong.
    """
    body: dict[str, Any] = {}
    attributes: dict[str, str] = {}
    copies = 1
    for field in form.fields:
        text = entered.get(field.name, "").strip()
        match field.control:
            case "copies":
                copies = _copies(text)
            case "merged":
                body |= _read_object(field, text)
            case "attribute" if text:
                attributes[field.name] = text
            case _ if text:
                body[field.name] = _value(field, text)
    data = msgspec.json.encode(body)
    try:
        return [job_builder.build(form.kind, data, attributes) for _ in range(copies)]
    except InvalidJob as error:
        raise _at_its_field(form, error) from None


def _value(field: Field, text: str) -> Any:
    match field.control:
        case "person":
            return dict([read_person(text)])
        case "template":
            return int(text) if text.isdecimal() else text
        case "list":
            return [part.strip() for part in text.split(",") if part.strip()]
        case "object":
            return _read_object(field, text)
        case _:
            return text


def _read_object(field: Field, text: str) -> dict[str, Any]:
    if not text:
        return {}
    try:
        read = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise FormError(field.name, 'must be a JSON object, such as {"plan": "pro"}')
    return read


def _copies(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= MAX_COPIES):
        raise FormError("copies", f"must be a whole number from 1 to {MAX_COPIES}")
    return int(text)


def _at_its_field(form: Form, error: InvalidJob) -> FormError:
    """Find the field that an error's path begins with. An error in no field of the form names its path."""
    top = error.field.partition(".")[0].partition("[")[0]
    names = {name: field.name for field in form.fields for name in (*field.stands_for, field.name)}
    problem = (
        error.problem if error.field in {field.name for field in form.fields} else f"{error.field} {error.problem}"
    )
    if top not in names:
        return FormError("more" if "more" in names and top != "body" else "", problem)
    return FormError(names[top], problem)
