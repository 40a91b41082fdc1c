"""``make run``: the stack, left running until Ctrl-C. ``make reset``: its data removed."""

import asyncio
import os
import sys
from pathlib import Path

from local.stack.errors import StackError
from local.stack.folder import StackFolder
from local.stack.interrupt import run_until_interrupted
from local.stack.options import Options

_DIRECTORY = Path(".local")
_HINT = """
Everything answers. Watch it and try it in the browser:

    {console}

In another terminal, from this folder:

    set -a; . .local/stack.env; set +a
    .venv/bin/python -m ops publish identify --person 42 --set plan=pro
    curl -s $CUSTOMERIO_TRACK_URL/_sim/people

Any Pub/Sub client publishes jobs: see docs/jobs.md. More: docs/local-stack.md.
Webhooks go to {webhook}
Logs are in {logs}. Every start begins with empty data: people, messages,
ledger and BigQuery. Ctrl-C stops everything.
"""


async def run() -> None:
    """Start the stack and keep it up.

    Raises:
        StackError: if it cannot start, or if a part ends that it needs.
    """
    from local.stack.stack import Stack  # noqa: PLC0415 - Google's clients take a second to import

    async with Stack(_DIRECTORY, options=Options.from_environment(os.environ), say=_say) as stack:
        environment = stack.environment
        webhook, console = environment["CUSTOMERIO_WEBHOOK_URL"], environment["CONSOLE_URL"]
        _say(_HINT.format(console=console, webhook=webhook, logs=_DIRECTORY / "logs"))
        await stack.failed()


def reset() -> None:
    """Remove the data and logs of the stack and of the demo.

    Raises:
        StackError: if a stack is running there.
    """
    for directory in (_DIRECTORY, _DIRECTORY / "demo"):
        if directory.exists():
            folder = StackFolder(directory.resolve())
            folder.lock()
            folder.remove_data()
            folder.unlock()
    print(f"Removed the stack's data and logs in {_DIRECTORY}.")


def _say(text: str) -> None:
    print(text, flush=True)


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["reset"]):
        print("usage: python -m local.stack [reset]", file=sys.stderr)
        return 2
    try:
        if arguments == ["reset"]:
            reset()
            return 0
        asyncio.run(run_until_interrupted(run()))
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
