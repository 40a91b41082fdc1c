"""The stack's ports on loopback: the same at every start, and free ones where those are taken."""

import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

HOST = "127.0.0.1"

# Functions follow the services, with room for further services between them.
_SERVICES = ("pubsub", "pubsub-admin", "bigquery", "bigquery-grpc", "customer.io", "customer.io-app", "console")
_FIRST_FUNCTION = 10


def free_ports(count: int) -> list[int]:
    """``count`` different ports that were free a moment ago."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]


def assign_ports(base: int, functions: Sequence[str]) -> tuple[dict[str, int], list[str]]:
    """Assign a port to every service and function.

    Args:
        base: First port; 0 takes free ones.
        functions: Names of the functions, in the order of their ports.

    Returns:
        The ports by name, and a sentence for each fixed port that was taken.
    """
    if base == 0:
        names = [*_SERVICES, *functions]
        return dict(zip(names, free_ports(len(names)), strict=True)), []
    wanted = {name: base + number for number, name in enumerate(_SERVICES)}
    wanted |= {name: base + _FIRST_FUNCTION + number for number, name in enumerate(functions)}
    return _replace_taken(wanted)


def _replace_taken(wanted: Mapping[str, int]) -> tuple[dict[str, int], list[str]]:
    taken = [name for name, port in wanted.items() if not _is_free(port)]
    instead = dict(zip(taken, free_ports(len(taken)), strict=True))
    notes = [f"port {wanted[name]} is taken: {name} uses {port} this time" for name, port in instead.items()]
    return {**wanted, **instead}, notes


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still closing counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
