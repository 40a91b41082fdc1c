"""The page's parts as HTML: Jinja templates and what they are given."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from local.console import conditions, layout
from local.console.flow import Values, archived_kinds, customerio_kinds
from local.console.forms import FORMS, FormError
from local.console.jobs import JobRecord, JobState, state, words
from local.console.reports import Reports
from ops.story import Story

FIRST_JOB = ".venv/bin/python -m ops publish send --person 42 --set to=ada@example.com --set transactional_message_id=7"
# Metrics of a delivery in the order of its life, of which the page shows the latest.
_GOOD, _BAD = ("sent", "delivered", "opened", "clicked", "converted"), ("bounced", "dropped", "failed", "spammed")


# Steps of a story after which a job, or its message, did not go on, and those after which it will.
_ENDS = frozenset({"failed", "dead_letter", *_BAD})
_WAITS = frozenset({"retried", "moved", "waiting", "paused", "unrecorded"})


class Pages:
    """Renders the page and its parts."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).with_name("templates")),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"words": words, "state": state, "step_state": _step_state}
        self._templates.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False, default=str)

    def page(self, values: Values, condition: str) -> str:
        return self._render(
            "page.html",
            values=values,
            pictures=(layout.wide(), layout.narrow()),
            kinds=[*customerio_kinds(), *archived_kinds()],
            conditions=conditions.CONDITIONS,
            condition=condition,
            other=conditions.OTHER,
            first_job=FIRST_JOB,
            **self._form_context("send"),
        )

    def jobs(self, records: Sequence[JobRecord]) -> str:
        return self._render("jobs.html", records=records, first_job=FIRST_JOB)

    def trace(self, kind: str, job_id: str, story: Story | None, problems: Sequence[str], *, is_behind: bool) -> str:
        """Render the life of one job.

        Args:
            kind: Kind of job.
            job_id: The job's id.
            story: What is known; None if nothing is.
            problems: A sentence for each source that did not answer.
            is_behind: Whether an attempt is known that the story does not have yet. The trace then reads again.
        """
        return self._render("trace.html", kind=kind, job_id=job_id, story=story, problems=problems, is_behind=is_behind)

    def people(self, people: Sequence[Mapping[str, Any]]) -> str:
        return self._render("people.html", people=[each for each in people if not each["suppressed"]])

    def deliveries(self, deliveries: Sequence[Mapping[str, Any]]) -> str:
        return self._render("deliveries.html", deliveries=deliveries, good=_GOOD, bad=_BAD)

    def dead_letters(self, listed: Sequence[Any], total: int, note: str = "") -> str:
        return self._render("dead_letters.html", listed=listed, total=total, note=note)

    def payload(self, documents: Sequence[Mapping[str, Any]]) -> str:
        return self._render("payload.html", documents=documents)

    def reports(self, reports: Reports) -> str:
        return self._render("reports.html", reports=reports)

    def switches(self, condition: str) -> str:
        return self._render(
            "switches.html", conditions=conditions.CONDITIONS, condition=condition, other=conditions.OTHER
        )

    def form(
        self,
        kind: str,
        entered: Mapping[str, str] | None = None,
        error: FormError | None = None,
        published: Sequence[str] = (),
    ) -> str:
        return self._render("form.html", **self._form_context(kind, entered, error, published))

    def message(self, title: str, text: str) -> str:
        """Render a sentence for the dialog."""
        return self._render("message.html", title=title, text=text)

    def problem(self, text: str) -> str:
        """Render a sentence about what could not be done."""
        return self._render("problem.html", text=text)

    def _form_context(
        self,
        kind: str,
        entered: Mapping[str, str] | None = None,
        error: FormError | None = None,
        published: Sequence[str] = (),
    ) -> dict[str, Any]:
        form = FORMS[kind]
        given = {field.name: field.value for field in form.fields} if entered is None else entered
        return {"forms": FORMS.values(), "form": form, "entered": given, "error": error, "published": published}

    def _render(self, template: str, **context: Any) -> str:
        return self._templates.get_template(template).render(**context)


def _step_state(what: str) -> JobState:
    """Name the state that a step of a story put its job into."""
    if what in _ENDS:
        return "failed"
    return "waiting" if what in _WAITS else "done"
