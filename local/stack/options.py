"""Choices about a stack, from the environment variables of ``make run``."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from local import deadlines
from local.stack.errors import StackError

DEFAULT_PORT_BASE = 8700
_MAX_PORT_BASE = 65_000


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of a stack.

    Args:
        time_scale: Divides Pub/Sub's backoffs, the times of pauses and the pause between broadcasts, nothing else;
            above 0.
        port_base: First of the stack's ports; 0 takes free ones.
        reaction_seconds: About how long simulated people take to open a message; 0 reports everything at once.
    """

    time_scale: float = 1.0
    port_base: int = DEFAULT_PORT_BASE
    reaction_seconds: float = deadlines.DEFAULT_REACTION_SECONDS

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read ``STACK_TIME_SCALE``, ``STACK_PORT_BASE`` and ``STACK_REACTION_SECONDS``.

        Raises:
            StackError: if one of them is not a number in its range.
        """
        time_scale = _number(environ, "STACK_TIME_SCALE", 1.0)
        port_base = _number(environ, "STACK_PORT_BASE", DEFAULT_PORT_BASE)
        reaction = _number(environ, "STACK_REACTION_SECONDS", deadlines.DEFAULT_REACTION_SECONDS)
        if time_scale <= 0:
            raise StackError("STACK_TIME_SCALE must be above 0, e.g. 20 for backoffs of a twentieth.")
        if port_base != int(port_base) or not (port_base == 0 or 1024 <= port_base <= _MAX_PORT_BASE):
            raise StackError(f"STACK_PORT_BASE must be a port from 1024 to {_MAX_PORT_BASE}, or 0 for free ports.")
        if reaction < 0:
            raise StackError("STACK_REACTION_SECONDS must be 0 or more.")
        return cls(time_scale, int(port_base), reaction)


def _number(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name)
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise StackError(f"{name} must be a number.")
    return number
