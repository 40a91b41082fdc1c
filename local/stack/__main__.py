"""``make run``: the stack, left running until Ctrl-C."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from local.stack.stack import Stack, StackError

_DIRECTORY = Path(".local")
_HINT = """
Everything answers. In another terminal, from this folder:

    set -a; . .local/stack.env; set +a
    .venv/bin/python -c 'from shared.publisher import Publisher as P; P().identify("42", plan="pro").result()'
    curl -s $CUSTOMERIO_TRACK_URL/_sim/people

Any Pub/Sub client publishes jobs: the data is Customer.io's own request body (docs/jobs.md).
Webhooks go to {webhook}
Logs are in {logs}. Ctrl-C stops everything.
"""


async def main() -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    scale = float(os.environ.get("STACK_TIME_SCALE") or 1)
    try:
        async with Stack(_DIRECTORY, time_scale=scale) as stack:
            print(
                _HINT.format(webhook=stack.environment["CUSTOMERIO_WEBHOOK_URL"], logs=_DIRECTORY / "logs"), flush=True
            )
            ends = [asyncio.create_task(stopped.wait()), asyncio.create_task(stack.failed())]
            done, pending = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            for task in done:
                task.result()
            print("stopping", flush=True)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
