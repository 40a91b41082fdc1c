"""``python -m local.pubsub``: runs the broker in its own process until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import resource
import signal
import sys

import uvloop

from local.pubsub.broker import Broker
from local.pubsub.memory import DEFAULT_MEMORY_LIMIT_BYTES


def main() -> int:
    options = _parser().parse_args()
    _allow_many_connections()
    try:
        uvloop.run(_serve(options))
    except OSError as error:
        print(f"the broker did not start: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(options: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with Broker(
        host=options.host,
        port=options.port,
        admin_port=options.admin_port,
        time_scale=options.time_scale,
        memory_limit_bytes=options.memory_limit_mib * 1024 * 1024,
    ) as broker:
        print(f"listening on {broker.host}", flush=True)
        print(f"admin on {broker.admin_url}/_broker/stats", flush=True)
        await stopped.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.pubsub", description="Pub/Sub on one machine.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--port",
        type=int,
        default=8085,
        help="port of gRPC and REST, for PUBSUB_EMULATOR_HOST; 0 takes a free one (default %(default)s)",
    )
    parser.add_argument(
        "--admin-port",
        type=int,
        default=0,
        help="port of the admin surface (stats and faults); 0 takes a free one (default %(default)s)",
    )
    parser.add_argument(
        "--time-scale",
        type=float,
        default=1.0,
        help="divides retry-policy backoffs and push backoff, and nothing else (default %(default)s)",
    )
    parser.add_argument(
        "--memory-limit-mib",
        type=int,
        default=DEFAULT_MEMORY_LIMIT_BYTES // (1024 * 1024),
        help="limit of held messages; beyond it publishes are refused (default %(default)s)",
    )
    return parser


def _allow_many_connections() -> None:
    """Raise the limit of open files: a subscription may have a thousand pushes in flight, each on a connection."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main())
