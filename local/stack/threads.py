"""Blocking work beside the event loop that does not keep the process alive."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial


async def in_daemon_thread[T](work: Callable[[], T]) -> T:
    """Run blocking work in a daemon thread and wait for it.

    ``asyncio.to_thread`` makes the interpreter wait for its threads at the end, so a Ctrl-C during a call of half a
    minute would seem to hang. A cancelled call here goes on alone and ends with the process.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def set_result(value: T) -> None:
        if not result.done():
            result.set_result(value)

    def set_exception(error: BaseException) -> None:
        if not result.done():
            result.set_exception(error)

    def run() -> None:
        try:
            value = work()
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the caller
            _call(loop, partial(set_exception, error))
        else:
            _call(loop, partial(set_result, value))

    threading.Thread(target=run, daemon=True).start()
    return await result


def _call(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(callback)
