"""A FastAPI service that publishes jobs: `uvicorn fastapi_service:app`.

Needs `pip install fastapi uvicorn` and the package customerio-jobs.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from customerio_jobs import Publisher
from fastapi import FastAPI
from pydantic import BaseModel

publisher = Publisher(exit_timeout=8)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    # Off the event loop: it waits until every job is on its topic.
    await asyncio.to_thread(publisher.close, 8)


app = FastAPI(lifespan=lifespan)


class Signup(BaseModel):
    person: str
    email: str


@app.post("/signups", status_code=202)
async def sign_up(signup: Signup) -> dict[str, str]:
    # Nobody waits for this one: it leaves within milliseconds, and a failure is logged.
    publisher.identify(signup.person, email=signup.email, plan="free")
    # The answer depends on this one. Awaiting it does not block other requests.
    event = publisher.track(signup.person, "signed_up")
    await event
    return {"job_id": event.job_id}
