"""A client that keeps what it is given, in place of Google's."""

import json
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, cast

from google.cloud.pubsub_v1 import PublisherClient

from shared.publisher import Publisher


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    data: bytes
    ordering_key: str
    attributes: dict[str, str]

    @property
    def body(self) -> Any:
        return json.loads(self.data)


class RecordingClient:
    def __init__(self, **_: object) -> None:
        self.messages: list[Message] = []

    def publish(self, topic: str, data: bytes, ordering_key: str = "", **attributes: str) -> Future[str]:
        self.messages.append(Message(topic.rpartition("/topics/")[2], data, ordering_key, attributes))
        future: Future[str] = Future()
        future.set_result(str(len(self.messages)))
        return future


def recording() -> tuple[Publisher, list[Message]]:
    """A publisher, and the messages that it has published so far."""
    client = RecordingClient()
    return Publisher("project-1", client=cast("PublisherClient", client)), client.messages
