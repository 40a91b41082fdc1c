"""Where the subscriptions of each kind push to: one variable that Terraform and the local stack give to ``control``.

A paused subscription has an empty push config, so whoever ends the pause must know what belongs there.
"""

import msgspec


class PushTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Push config of all subscriptions of one kind.

    Args:
        subscriptions: ``projects/P/subscriptions/S``, one per lane that is pushed, and the bell of one that is pulled.
        endpoint: URL of the function.
        service_account: Email address of the account that signs the pushes; empty on one machine.
        audience: Audience of the pushes' tokens; empty on one machine.
    """

    subscriptions: tuple[str, ...]
    endpoint: str
    service_account: str = ""
    audience: str = ""


PushTargets = dict[str, PushTarget]
_decoder = msgspec.json.Decoder(PushTargets)


def encode(targets: PushTargets) -> str:
    return msgspec.json.encode(targets).decode()


def decode(text: str) -> PushTargets:
    """Decode the variable's text: a JSON object with a target per kind.

    Raises:
        ValueError: if it is anything else; the message quotes no value.
    """
    return _decoder.decode(text)
