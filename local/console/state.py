"""The state of the stack as the page shows it, gathered from its sources into named parts."""

import asyncio
import json
import time
from collections.abc import Coroutine, Mapping
from typing import Any

from local import deadlines
from local.console import conditions, pauses
from local.console.flow import Flow, Values
from local.console.jobs import RecentJobs
from local.console.pages import Pages
from local.console.reports import ReportReader, Reports
from local.console.sources import SourceError, Sources
from local.stack.threads import in_daemon_thread

_MAX_JOBS_SHOWN = 40
# The second one finds the rows that arrived between the queries of the first.
_REPORTS_PER_CHANGE = 2
_NO_STATS: Mapping[str, Any] = {"topics": {}, "subscriptions": {}}


class State:
    """Reads all sources and renders what came of it. A source that is away leaves its part as it was.

    Args:
        environment: Variables of ``stack.env``.
        sources: Access to the broker and the simulator.
        pages: Renders the parts.
    """

    def __init__(self, environment: Mapping[str, str], sources: Sources, pages: Pages) -> None:
        self._environment = environment
        self._sources = sources
        self._pages = pages
        self._flow = Flow(environment["GOOGLE_CLOUD_PROJECT"])
        self.jobs = RecentJobs()
        self._reports: ReportReader | None = None
        self._reporting: asyncio.Task[None] | None = None
        self._reported_at = -deadlines.CONSOLE_REPORT_SECONDS
        self._reported_counts = ""
        self._reports_due = 0
        self._listed_counts = ""
        self._parts: dict[str, str] = {}

    async def values(self) -> tuple[Values, str]:
        """Read the numbers of the picture and the name of Customer.io's condition."""
        problems: list[str] = []
        stats = await _or(problems, self._sources.broker_stats(), _NO_STATS)
        counts = await _or(problems, self._sources.customerio_counts(), {})
        faults = await _or(problems, self._sources.faults(), [])
        values = self._flow.values(stats, counts)
        condition = conditions.current(faults)
        subscriptions = await _or(problems, self._sources.subscriptions(), [])
        values |= pauses.values(self._environment["GOOGLE_CLOUD_PROJECT"], subscriptions)
        values["customerio.condition"] = condition
        values["customerio.state"] = next(
            (each.label for each in conditions.CONDITIONS if each.name == condition), "Faults set elsewhere"
        )
        values["problem"] = " ".join(dict.fromkeys(problems))
        return values, condition

    async def read(self) -> Mapping[str, str]:
        """Read every part of the page."""
        values, _ = await self.values()
        self._parts["values"] = json.dumps(values)
        self._parts["jobs"] = self._pages.jobs(self.jobs.latest(_MAX_JOBS_SHOWN))
        counts = f"{values['customerio.requests']} {values['webhooks.sent']}"
        if counts != self._listed_counts and not values["problem"]:
            self._parts["people"] = self._pages.people(await self._sources.people())
            self._parts["deliveries"] = self._pages.deliveries(await self._sources.deliveries())
            self._listed_counts = counts
        self._start_reports(f"{values['webhooks.sent']} {values['bigquery.words']}")
        return dict(self._parts)

    def _start_reports(self, counts: str) -> None:
        """Query BigQuery in the background when something arrived there; the numbers do not wait for it."""
        if counts != self._reported_counts:
            self._reported_counts = counts
            self._reports_due = _REPORTS_PER_CHANGE
        is_running = self._reporting is not None and not self._reporting.done()
        is_time = time.monotonic() - self._reported_at >= deadlines.CONSOLE_REPORT_SECONDS
        if self._reports_due and is_time and not is_running:
            self._reports_due -= 1
            self._reporting = asyncio.create_task(self._read_reports())

    async def _read_reports(self) -> None:
        try:
            reports = await in_daemon_thread(self._query)
            self._parts["reports"] = self._pages.reports(reports)
            self.jobs.add(reports.outcomes)
        except Exception as error:  # noqa: BLE001 - whatever BigQuery's client raises, the rest of the page goes on
            reason = f"BigQuery does not answer ({type(error).__name__})."
            self._parts["reports"] = self._pages.message("No reports", reason)
        finally:
            self._reported_at = time.monotonic()

    def _query(self) -> Reports:
        if self._reports is None:
            self._reports = ReportReader(self._environment)
        return self._reports.read()


async def _or[T](problems: list[str], reading: Coroutine[Any, Any, T], otherwise: T) -> T:
    try:
        return await reading
    except SourceError as error:
        problems.append(str(error))
        return otherwise
