"""The console's routes."""

import asyncio
import html
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from local.console import conditions, dead_letters, pauses, publishing
from local.console.flow import customerio_kinds, job_topics
from local.console.forms import FORMS, Form, FormError, build
from local.console.live import Live
from local.console.outcome_feed import OutcomeFeed
from local.console.pages import Pages
from local.console.security import ALLOWED_HOSTS, SameOriginOnly
from local.console.sources import SourceError, Sources
from local.console.state import State
from local.stack.threads import in_daemon_thread
from ops.errors import sentence
from ops.story_sources import job_story
from ops.target import Target
from shared.outcome_message import OutcomeMessage

_STATIC = Path(__file__).with_name("static")
# htmx as the package django-js-lib-htmx ships it.
_HTMX = Path(str(files("js_lib_htmx"))) / "static" / "htmx"
_MAX_FORM_BYTES = 1_000_000


def application(environment: Mapping[str, str]) -> Starlette:
    """Build the console.

    Args:
        environment: Variables of ``stack.env``.
    """
    console = Console(environment)
    return Starlette(
        routes=[
            Route("/", console.page),
            Route("/live", console.live_events),
            Route("/forms/{kind}", console.form),
            Route("/publish/{kind}", console.publish, methods=["POST"]),
            Route("/customerio/{condition}", console.set_condition, methods=["POST"]),
            Route("/push/{kind}", console.change_push, methods=["POST"]),
            Route("/jobs/{kind}/{job_id:path}", console.trace),
            Route("/dead-letters", console.list_dead_letters),
            Route("/dead-letters/{kind}/{job_id}", console.payload),
            Route("/dead-letters/{kind}/{job_id}/replay", console.replay, methods=["POST"]),
            Route("/dead-letters/{kind}/{job_id}/discard", console.discard, methods=["POST"]),
            Mount("/static", StaticFiles(directory=_STATIC)),
            Mount("/htmx", StaticFiles(directory=_HTMX)),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=ALLOWED_HOSTS),
            Middleware(SameOriginOnly),
        ],
        lifespan=console.lifespan,
    )


class Console:
    """Handlers of the routes, and what they share."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._target = Target(environment["GOOGLE_CLOUD_PROJECT"], "", environment)
        self._sources = Sources(environment)
        self._pages = Pages()
        self._state = State(environment, self._sources, self._pages)
        feed = OutcomeFeed(environment, self._take_outcomes)
        self._live = Live(self._state.read, feed.follow)
        # Each look leases the dead letters. Two at once would each see a part of them.
        self._leasing = asyncio.Lock()

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        reading = asyncio.create_task(self._live.run())
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await self._live.close()
            await self._sources.close()

    async def page(self, _request: Request) -> Response:
        values, condition = await self._state.values()
        return HTMLResponse(self._pages.page(values, condition))

    async def live_events(self, _request: Request) -> Response:
        return StreamingResponse(self._live.stream(), media_type="text/event-stream")

    async def form(self, request: Request) -> Response:
        return HTMLResponse(self._pages.form(_form(request).kind))

    async def publish(self, request: Request) -> Response:
        """Publish the jobs of a filled-in form. 422 and the form with the problem at its field, if there is one."""
        form, entered = _form(request), await _entered(request)
        try:
            jobs = build(form, entered)
            await in_daemon_thread(lambda: publishing.publish(self._target, form.kind, jobs))
        except FormError as error:
            return HTMLResponse(self._pages.form(form.kind, entered, error), status_code=422)
        except Exception as error:
            if (problem := sentence(error)) is None:
                raise
            return HTMLResponse(self._pages.form(form.kind, entered, FormError("", problem)), status_code=422)
        self._live.hurry()
        return HTMLResponse(self._pages.form(form.kind, entered, None, [job.attributes["job_id"] for job in jobs]))

    async def set_condition(self, request: Request) -> Response:
        name = request.path_params["condition"]
        faults = conditions.faults_of(name)
        if faults is None:
            raise HTTPException(404)
        try:
            await self._sources.set_faults(faults)
        except SourceError as error:
            raise HTTPException(503, str(error)) from None
        self._live.hurry()
        return HTMLResponse(self._pages.switches(name))

    async def change_push(self, request: Request) -> Response:
        """Pause or resume a kind of job, as the form's field ``action`` says."""
        kind, entered = request.path_params["kind"], await _entered(request)
        if kind not in customerio_kinds() or entered.get("action") not in {"pause", "resume"}:
            raise HTTPException(404)
        return await self._acted(lambda: html.escape(pauses.change(self._target, kind, entered["action"])))

    async def trace(self, request: Request) -> Response:
        """Show the life of a job, as the command ``trace`` tells it."""
        kind, job_id = request.path_params["kind"], request.path_params["job_id"]

        def render() -> str:
            found = job_story(self._target, job_id)
            story = next((story for story in found.stories if story.kind == kind), None)
            record = self._state.jobs.find(kind, job_id)
            told = sum("outcome" in step.facts for step in story.steps) if story else 0
            is_behind = record is not None and told < len(record.attempts) and "BigQuery" not in found.unavailable
            return self._pages.trace(kind, job_id, story, list(found.unavailable.values()), is_behind=is_behind)

        return await self._with_leases(render, self._in_dialog)

    async def list_dead_letters(self, _request: Request) -> Response:
        return await self._with_leases(self._dead_letters)

    async def payload(self, request: Request) -> Response:
        kind, job_id = _dead_letter(request)
        return await self._with_leases(
            lambda: self._pages.payload(dead_letters.documents(self._target, kind, job_id)), self._in_dialog
        )

    async def replay(self, request: Request) -> Response:
        kind, job_id = _dead_letter(request)
        return await self._with_leases(
            lambda: self._dead_letters(f"Replayed {dead_letters.replay(self._target, kind, job_id)}.")
        )

    async def discard(self, request: Request) -> Response:
        kind, job_id = _dead_letter(request)
        return await self._with_leases(
            lambda: self._dead_letters(f"Discarded {dead_letters.discard(self._target, kind, job_id)}.")
        )

    def _take_outcomes(self, outcomes: Sequence[OutcomeMessage]) -> None:
        self._state.jobs.add(outcomes)
        self._live.hurry()

    def _dead_letters(self, note: str = "") -> str:
        listed, total = dead_letters.listed(self._target, list(job_topics()))
        return self._pages.dead_letters(listed, total, note)

    def _in_dialog(self, problem: str) -> str:
        return self._pages.message("Not done", problem)

    async def _with_leases(self, render: Callable[[], str], failure: Callable[[str], str] | None = None) -> Response:
        """Run work that leases dead letters, one at a time."""
        async with self._leasing:
            return await self._acted(render, failure)

    async def _acted(self, render: Callable[[], str], failure: Callable[[str], str] | None = None) -> Response:
        """Run work that blocks. A failure that a person can act on is shown as its sentence.

        Args:
            render: Does the work, and returns HTML.
            failure: Renders the sentence; for its place in the page by default.
        """
        try:
            return HTMLResponse(await in_daemon_thread(render))
        except Exception as error:
            if (problem := sentence(error)) is None:
                raise
            return HTMLResponse((failure or self._pages.problem)(problem))
        finally:
            self._live.hurry()


def _form(request: Request) -> Form:
    form = FORMS.get(request.path_params["kind"])
    if form is None:
        raise HTTPException(404)
    return form


def _dead_letter(request: Request) -> tuple[str, str]:
    kind = request.path_params["kind"]
    if kind not in job_topics():
        raise HTTPException(404)
    return kind, request.path_params["job_id"]


async def _entered(request: Request) -> dict[str, str]:
    """Read a submitted form.

    Raises:
        HTTPException: if it is too large, or not text.
    """
    pieces, size = [], 0
    async for piece in request.stream():
        pieces.append(piece)
        size += len(piece)
        if size > _MAX_FORM_BYTES:
            raise HTTPException(413)
    try:
        return dict(parse_qsl(b"".join(pieces).decode(), keep_blank_values=True))
    except ValueError:
        raise HTTPException(400) from None
