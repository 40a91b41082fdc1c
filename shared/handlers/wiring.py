"""Wiring a handler to the pushes of its kind: topology, dead-letter topic and telemetry, all from the environment."""

import gc
from collections.abc import Mapping

from ..pubsub.dead_letters import DeadLetterTopic
from ..pubsub.push import Handle, PushEndpoint
from ..pubsub.topic import Topic
from ..settings import job_settings
from ..telemetry import Telemetry
from ..topology import topology

_DEAD_LETTER_SECONDS = 10.0


def push_endpoint(
    kind_name: str, handle: Handle, environment: Mapping[str, str], *, expiry: bool = True
) -> PushEndpoint:
    """The endpoint of the function that takes ``kind_name``; ``expiry`` as in ``PushEndpoint``.

    Raises:
        SettingsError: a variable is missing.
    """
    settings = job_settings(environment)
    _spare_the_collector()
    kind = topology().topics[kind_name]
    dead_letters = DeadLetterTopic(Topic(settings.dead_letter_topic, timeout=_DEAD_LETTER_SECONDS), kind.function)
    return PushEndpoint(handle, dead_letters, Telemetry(kind.function, kind_name, settings.project), expiry=expiry)


def _spare_the_collector() -> None:
    """Keep the garbage collector from walking what lives as long as the process: a seventh of the CPU of a job."""
    gc.collect()
    gc.freeze()
    # A thousand pushes under way are some ten thousand young objects that reference counting frees by itself.
    gc.set_threshold(20_000, 20, 50)
