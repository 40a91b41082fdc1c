"""Messages of the control topic, encoded and decoded only here: what the function control is asked to do."""

from typing import Annotated

import msgspec
from msgspec import Meta

from .errors import InvalidJob


class PauseRequest(msgspec.Struct, frozen=True, tag_field="action", tag="pause"):
    """A function found that nothing of a kind gets through, and asks for a pause.

    Args:
        kind: Kind of job, such as ``send``.
        reason: A word for logs and labels, such as ``credentials_refused``.
    """

    kind: str
    reason: Annotated[str, Meta(pattern="^[a-z0-9_-]{1,63}$")]


class Tick(msgspec.Struct, frozen=True, tag_field="action", tag="tick"):
    """Look at all pauses now: sent every minute, and by an operator who ended one."""


_decoder = msgspec.json.Decoder(PauseRequest | Tick)


def encode(message: PauseRequest | Tick) -> bytes:
    return msgspec.json.encode(message)


def decode(data: bytes) -> PauseRequest | Tick:
    """Decode a message's data.

    Raises:
        InvalidJob: if it is neither of the two.
    """
    try:
        message: PauseRequest | Tick = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        problem = 'must be {"action":"tick"} or {"action":"pause","kind":KIND,"reason":WORD}'
        raise InvalidJob("body", problem) from None
    return message
