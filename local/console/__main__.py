"""``python -m local.console``: the console of a stack that runs, until SIGTERM or Ctrl-C."""

import argparse
import os

import uvicorn

from local import deadlines
from local.console.app import application


def main() -> None:
    """Serve the page on loopback. The stack is the one that the environment (``stack.env``) names."""
    parser = argparse.ArgumentParser(prog="python -m local.console", description="The console of the local stack.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    uvicorn.run(
        application(os.environ),
        host=options.host,
        port=options.port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=deadlines.CONSOLE_SHUTDOWN_SECONDS,
    )


if __name__ == "__main__":
    main()
