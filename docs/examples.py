"""One example job per form: as JSON for any Pub/Sub client, and as a call of the publisher. Tests run all of them."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Example:
    """How one form of job is published.

    Args:
        form: Name of the form's type in ``shared.jobs``.
        python: A call of the publisher.
        body: The same job as JSON.
        attributes: Pub/Sub attributes of the message.
        what: Title, for a form with several examples.
    """

    form: str
    python: str
    body: dict[str, Any]
    attributes: dict[str, str] = field(default_factory=dict)
    what: str = ""


_PERSON = {"identifiers": {"id": "42"}}
_OBJECT = {"type": "object", "identifiers": {"object_type_id": "1", "object_id": "acme"}}
_SEND = {**_PERSON, "transactional_message_id": 7}
_ACME = [{"identifiers": {"object_type_id": "1", "object_id": "acme"}}]

EXAMPLES: dict[str, list[Example]] = {
    "identify": [
        Example(
            "IdentifyPerson",
            'publisher.identify("42", email="ada@example.com", plan="pro")',
            {**_PERSON, "attributes": {"email": "ada@example.com", "plan": "pro"}},
        ),
        Example("DeletePerson", 'publisher.delete("42")', {**_PERSON, "action": "delete"}),
        Example("SuppressPerson", 'publisher.suppress("42")', {**_PERSON, "action": "suppress"}),
        Example("UnsuppressPerson", 'publisher.unsuppress("42")', {**_PERSON, "action": "unsuppress"}),
        Example(
            "MergePeople",
            'publisher.merge("42", {"email": "old@example.com"})',
            {"action": "merge", "primary": {"id": "42"}, "secondary": {"email": "old@example.com"}},
        ),
        Example(
            "AddDevice",
            'publisher.add_device("42", "token-1", "ios")',
            {**_PERSON, "action": "add_device", "device": {"token": "token-1", "platform": "ios"}},
        ),
        Example(
            "DeleteDevice",
            'publisher.delete_device("42", "token-1")',
            {**_PERSON, "action": "delete_device", "device": {"token": "token-1"}},
        ),
        Example(
            "AddRelationships",
            'publisher.add_relationships("42", [{"identifiers": {"object_type_id": "1", "object_id": "acme"}}])',
            {**_PERSON, "action": "add_relationships", "cio_relationships": _ACME},
        ),
        Example(
            "DeleteRelationships",
            'publisher.delete_relationships("42", [{"identifiers": {"object_type_id": "1", "object_id": "acme"}}])',
            {**_PERSON, "action": "delete_relationships", "cio_relationships": _ACME},
        ),
        Example(
            "IdentifyObject",
            'publisher.identify_object("1", "acme", {"name": "Acme"})',
            {**_OBJECT, "action": "identify", "attributes": {"name": "Acme"}},
        ),
        Example(
            "IdentifyObjectAnonymously",
            'publisher.relate_object_anonymously("1", "acme", ["visitor-1"])',
            {
                **_OBJECT,
                "action": "identify_anonymous",
                "cio_relationships": [{"identifiers": {"anonymous_id": "visitor-1"}}],
            },
        ),
        Example("DeleteObject", 'publisher.delete_object("1", "acme")', {**_OBJECT, "action": "delete"}),
        Example(
            "RelateObject",
            'publisher.relate_object("1", "acme", [{"identifiers": {"id": "42"}}])',
            {**_OBJECT, "action": "add_relationships", "cio_relationships": [_PERSON]},
            what="Relate",
        ),
        Example(
            "RelateObject",
            'publisher.unrelate_object("1", "acme", [{"identifiers": {"id": "42"}}])',
            {**_OBJECT, "action": "delete_relationships", "cio_relationships": [_PERSON]},
            what="End the relationship",
        ),
    ],
    "track": [
        Example(
            "PersonEvent",
            'publisher.track("42", "order_placed", {"total": 3})',
            {**_PERSON, "name": "order_placed", "attributes": {"total": 3}},
            what="An event",
        ),
        Example(
            "PersonEvent",
            'publisher.page("42", "https://example.com/prices")',
            {**_PERSON, "action": "page", "name": "https://example.com/prices"},
            what="A page view",
        ),
        Example(
            "PersonEvent",
            'publisher.screen("42", "prices")',
            {**_PERSON, "action": "screen", "name": "prices"},
            what="A screen view",
        ),
        Example(
            "PersonEvent",
            'publisher.track_anonymous("visitor-1", "signed_up")',
            {"identifiers": {"anonymous_id": "visitor-1"}, "name": "signed_up"},
            what="An event of somebody who is not known yet",
        ),
        Example(
            "DeliveryEvent",
            'publisher.delivery_metric("dgTR_gQ", "opened", device_token="token-1")',
            {
                "type": "delivery",
                "identifiers": {"id": "dgTR_gQ"},
                "name": "opened",
                "attributes": {"device_token": "token-1"},
            },
        ),
    ],
    "send": [
        Example(
            "EmailMessage",
            'publisher.send_email(to="ada@example.com", identifiers={"id": "42"}, transactional_message_id=7)',
            {**_SEND, "to": "ada@example.com"},
            what="From a template",
        ),
        Example(
            "EmailMessage",
            """publisher.send_email(
    to="ada@example.com",
    from_="shop@example.com",
    subject="Thanks",
    body="<p>Thank you.</p>",
    identifiers={"id": "42"},
)""",
            {
                **_PERSON,
                "to": "ada@example.com",
                "from": "shop@example.com",
                "subject": "Thanks",
                "body": "<p>Thank you.</p>",
            },
            what="Without a template",
        ),
        *(
            Example(
                form,
                f'publisher.send_{channel}(identifiers={{"id": "42"}}, transactional_message_id=7)',
                _SEND,
                {"channel": channel},
            )
            for form, channel in [
                ("Push", "push"),
                ("SMS", "sms"),
                ("WhatsApp", "whatsapp"),
                ("InboxMessage", "inbox_message"),
                ("InApp", "in_app"),
            ]
        ),
    ],
    "broadcast": [
        Example(
            "Broadcast",
            'publisher.broadcast(12, ids=["42"], data={"headline": "New"}, id_ignore_missing=True)',
            {"broadcast_id": 12, "ids": ["42"], "data": {"headline": "New"}, "id_ignore_missing": True},
            what="To people by id",
        ),
        Example(
            "Broadcast",
            'publisher.broadcast(12, audience="as_configured")',
            {"broadcast_id": 12},
            {"audience": "as_configured"},
            what="To the audience that is set up in Customer.io",
        ),
    ],
    "sync": [
        Example(
            "User",
            'publisher.sync_user({"id": "42", "email": "ada@example.com", "preferences": {"marketing": False}})',
            {"id": "42", "email": "ada@example.com", "preferences": {"marketing": False}},
        ),
        Example("DeletedUser", 'publisher.user_deleted("42")', {"id": "42", "deleted": True}),
        Example(
            "ForgottenUser",
            'publisher.forget_user("42", email="ada@example.com")',
            {"id": "42", "forget": True, "email": "ada@example.com"},
        ),
    ],
}
