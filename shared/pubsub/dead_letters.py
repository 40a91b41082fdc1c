"""Publishing a job that cannot succeed to its dead-letter topic, with the reason as attributes."""

from typing import Protocol

from ..outcome import Failed
from .attributes import RENAMED, cut
from .message import FIRST_PUBLISH_TIME, PushMessage
from .topic import Topic

# Where Pub/Sub forwarded the message from is of no use to the operator, and would mislead a second forward.
_FORWARDING = "CloudPubSubDeadLetter"
_OURS_ALONE = frozenset({"job_id", FIRST_PUBLISH_TIME})


class DeadLetters(Protocol):
    """Where failed jobs go."""

    async def put(self, delivery: PushMessage, failure: Failed) -> None:
        """Keep the job with its reason.

        Raises:
            PublishError: it could not be kept; the job must not be acknowledged.
        """


class DeadLetterTopic:
    """Dead letters as Pub/Sub messages: the job's data as it was, its attributes, and ours beside them.

    ``job_id`` is always set, so a job that is replayed keeps the key under which it was tried before.
    """

    def __init__(self, topic: Topic, function: str) -> None:
        self._topic = topic
        self._function = function

    async def put(self, delivery: PushMessage, failure: Failed) -> None:
        await self._topic.publish(delivery.data, dead_letter_attributes(self._function, delivery, failure))


def dead_letter_attributes(function: str, delivery: PushMessage, failure: Failed) -> dict[str, str]:
    """Attributes of a dead letter: ours first, so that they survive where the publisher's own are too many.

    The publisher's own of the same name get the prefix ``original-``.
    """
    ours = {
        "job_id": delivery.key,
        "reason": failure.reason,
        "class": failure.error_class,
        "status": "" if failure.status is None else str(failure.status),
        "field": failure.field,
        "message": failure.message,
        "function": function,
        "attempt": "" if delivery.attempt is None else str(delivery.attempt),
        "lane": delivery.lane,
        FIRST_PUBLISH_TIME: delivery.first_published_at.isoformat(),
        "ordering_key": delivery.ordering_key,
    }
    theirs = {
        f"{RENAMED}{key}" if key in ours else key: value
        for key, value in delivery.attributes.items()
        if key not in _OURS_ALONE and not key.startswith(_FORWARDING)
    }
    return {key: cut(value) for key, value in ours.items() if value} | theirs
