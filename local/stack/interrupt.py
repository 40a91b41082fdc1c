"""Ctrl-C at any moment: work is cancelled once, cleans up after itself, and a second Ctrl-C does not break that off."""

import asyncio
import signal
from collections.abc import Coroutine


async def run_until_interrupted[T](work: Coroutine[None, None, T]) -> T | None:
    """Await ``work``, or cancel it on SIGINT or SIGTERM and await its end.

    Returns:
        The result, or None if it was interrupted.
    """
    task = asyncio.ensure_future(work)
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        if interrupted:
            print("still stopping", flush=True)
            return
        interrupted = True
        print("\nstopping", flush=True)
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        return await task
    except asyncio.CancelledError:
        if interrupted:
            return None
        raise
