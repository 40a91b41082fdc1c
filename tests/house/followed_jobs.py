"""Runs jobs through functions/KIND/main.py and prints, for each, every call into a file of shared/ as one JSON line.

A process of its own, because a function never closes what it opens: it lives as long as its instance.
"""

import asyncio
import importlib.util
import json
import sys
from dataclasses import asdict, replace
from types import ModuleType

import httpx
from starlette.applications import Starlette
from starlette.routing import Route

from tests.handlers.handler_helpers import ADDRESS, Push
from tests.house.call_trace import recorded_entries
from tests.house.source_tree import ROOT

JOBS = {
    "identify": {"identifiers": {"email": ADDRESS}, "attributes": {"plan": "pro"}},
    "track": {"identifiers": {"email": ADDRESS}, "name": "bought"},
    "send": {"identifiers": {"email": ADDRESS}, "transactional_message_id": 1, "to": ADDRESS},
    "broadcast": {"broadcast_id": 12, "emails": [ADDRESS]},
    "sync": {"id": "42", "email": ADDRESS, "plan": "pro"},
}
# The same again, so that Customer.io can refuse it: another job, about what has changed.
AGAIN = {"sync": {"id": "42", "email": ADDRESS, "plan": "free"}}


async def follow(kind: str) -> None:
    """Start the function, then push two jobs: print what starting met, and what each job met."""
    with recorded_entries() as entries:
        main = _loaded(kind)
        told = [asdict(entry) for entry in entries]
        print(json.dumps({"kind": kind, "what": "starting", "entries": told, "answer": 0}))
        app = Starlette(routes=[Route("/", getattr(main, kind), methods=["POST"])])
        first = Push(JOBS[kind])
        again = replace(first, data=AGAIN.get(kind, first.data), message_id="2")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://function") as client:
            for what, push in (("applied", first), ("refused", again)):
                entries.clear()
                answer = (await client.post("/", content=push.body())).status_code
                told = [asdict(entry) for entry in entries]
                print(json.dumps({"kind": kind, "what": what, "entries": told, "answer": answer}))


def _loaded(kind: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"main_of_{kind}", ROOT / "functions" / kind / "main.py")
    assert spec is not None
    assert spec.loader is not None
    main = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(main)
    return main


async def _follow_all(kinds: list[str]) -> None:
    for kind in kinds:
        await follow(kind)


if __name__ == "__main__":
    asyncio.run(_follow_all(sys.argv[1:]))
