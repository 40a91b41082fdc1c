"""Everything that a new function takes: a kind of job, ``note``, that keeps a note about a person as an event.

The edits are the answer to "what do I touch?" in CONTRIBUTING.md. ``make docs`` writes the last two files.
"""

from pathlib import Path

NAME = "note"

# Files that are new.
NEW = {
    "functions/note/main.py": '''"""Notes about people: jobs of the note topic."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.handlers.note import endpoint
from shared.settings import Settings

answer = endpoint(Settings.from_environment("note"))


@functions_framework.aio.http
async def note(request: Request) -> Response:
    return await answer(request)
''',
    "shared/jobs/note.py": '''"""The note topic: notes about people, kept as events called ``note``."""

from typing import Annotated

import msgspec
from msgspec import Meta

from ..attributes import JobAttributes
from . import limits
from .checks import check_data_size, check_form, check_identifiers, check_not_empty, read_object
from .fields import PERSON_IDENTIFIERS
from .identify_schema import PersonIdentifiers
from .operation import TrackOperation, person_key


class Note(msgspec.Struct, kw_only=True):
    """A note about a person."""

    identifiers: PersonIdentifiers
    text: Annotated[str, Meta(description="what is noted, not blank")]


def parse(data: bytes, _: JobAttributes) -> TrackOperation:
    """Check a note.

    Raises:
        InvalidJob: if the job can never succeed.
    """
    check_data_size(data, limits.MAX_TRACK_DATA_BYTES)
    body = read_object(data)
    note = check_form(body, Note)
    check_not_empty(note.text, "text")
    name, value = check_identifiers(body["identifiers"], PERSON_IDENTIFIERS)
    event = {
        "type": "person",
        "action": "event",
        "identifiers": {name: value},
        "name": "note",
        "attributes": {"text": note.text},
    }
    return TrackOperation(person_key(name, value), event, "event", ordered=False)
''',
    "shared/handlers/note.py": '''"""note: notes about people, one Track operation per job."""

from ..attributes import JobAttributes
from ..customerio.track import TrackAPI
from ..jobs import parse
from ..lifetime import Lifetime
from ..outcome import Outcome
from ..pubsub.message import PushMessage
from ..pubsub.push import PushEndpoint
from ..settings import Settings
from .operations import apply
from .track_wiring import track_api
from .wiring import push_endpoint


class Note:
    """Settles notes."""

    def __init__(self, track: TrackAPI) -> None:
        self._track = track

    async def __call__(self, message: PushMessage) -> Outcome:
        attributes = JobAttributes.decode(message.attributes)
        operation = parse("note", message.data, attributes)
        return await apply(self._track, operation, message, attributes)


def endpoint(settings: Settings) -> PushEndpoint:
    """The function as its settings describe it."""
    lifetime = Lifetime()
    return push_endpoint(Note(track_api(settings, lifetime)), settings, lifetime)
''',
}

# Files that are there: after each of these texts, the other is put in.
INSERTED = {
    "shared/topology.json": [
        (
            '"topics": {\n',
            (
                '    "note": { "name": "cio-note", "function": "note", "rate": "track", "ordered": false,'
                ' "lanes": ["main", "retry"] },\n'
            ),
        ),
        (
            '"functions": {\n',
            (
                '    "note": { "trigger": "push", "concurrency": 1000, "max_instances": 1, "memory": "512Mi",'
                ' "timeout_seconds": 50, "secrets": ["site-id", "track-api-key"], "ledger": false,'
                ' "warehouse": false },\n'
            ),
        ),
    ],
    "shared/jobs/__init__.py": [
        ("from . import broadcast, identify, ", "note, "),
        ("from .identify_schema import IDENTIFY_FORMS\n", "from .note import Note\n"),
        ('Kind = Literal["identify", ', '"note", '),
        ('kind: Literal["identify", ', '"note", '),
        ('"sync": [User, DeletedUser, ForgottenUser],\n', '    "note": [Note],\n'),
        ('"sync": sync.parse,\n', '    "note": note.parse,\n'),
    ],
    "shared/publisher/people.py": [
        (
            '    """Identify, delete, suppress and merge people; their devices and relationships."""\n',
            (
                "\n"
                "    def note(self, person: Person, text: str, *, options: JobOptions | None = None) -> JobFuture:\n"
                '        """Keep a note about a person."""\n'
                '        return self._publish("note", {"identifiers": identifiers(person), "text": text}, options)\n'
            ),
        ),
    ],
    "docs/examples.py": [
        (
            "EXAMPLES: dict[str, list[Example]] = {\n",
            (
                '    "note": [\n'
                '        Example("Note", \'publisher.note("42", "called back")\', {**_PERSON, "text": "called back"})\n'
                "    ],\n"
            ),
        ),
    ],
}


def add(root: Path) -> None:
    """Add the function to the tree at ``root``, all but what ``make docs`` writes."""
    for name, text in NEW.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    for name, pieces in INSERTED.items():
        path = root / name
        text = path.read_text()
        for after, piece in pieces:
            assert text.count(after) == 1, f"{name}: {after!r} stands there {text.count(after)} times"
            text = text.replace(after, after + piece)
        path.write_text(text)
