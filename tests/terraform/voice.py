"""What fails in silence must be told to somebody: rules about alerts, metrics, logs and the dashboard."""

import json
import re
from collections.abc import Iterator
from typing import Any

from shared.topology import BELL_SUFFIX
from tests.terraform.applied import Applied, Values
from tests.terraform.terraform_tool import ROOT

# Alerts that every environment has, by their runbook.
_ALERTS = {
    "dead-letters",
    "dead-letters-expire",
    "faults",
    "jobs-held",
    "jobs-wait",
    "no-instance",
    "out-of-memory",
    "pause-lasts",
    "pushes-fail",
    "quota",
    "sends-paused",
    "start-fails",
    "webhook-budget-fast",
    "webhook-budget-slow",
    "webhook-unauthorized",
    "webhook-unavailable",
}
_AGE = "pubsub.googleapis.com/subscription/oldest_unacked_message_age"


def alerts_have_runbooks(applied: Applied) -> Iterator[str]:
    headings = set(re.findall(r"^## (\S+)$", (ROOT / "docs" / "runbooks.md").read_text(), re.MULTILINE))
    for policy in applied.of("google_monitoring_alert_policy"):
        documentation = policy["documentation"][0]
        if _runbook(policy) not in headings:
            yield f"alert {policy['display_name']} has no runbook"
        for link in documentation["links"]:
            if link["url"].rpartition("#")[2] not in headings:
                yield f"alert {policy['display_name']} links to {link['url']}"


def nothing_fails_in_silence(applied: Applied) -> Iterator[str]:
    alerts = {_runbook(policy): policy for policy in applied.of("google_monitoring_alert_policy")}
    for name in sorted(_ALERTS - set(alerts)):
        yield f"there is no alert {name}"
    if applied.environment == "prod" and "webhook-silent" not in alerts:
        yield "nobody is told when Customer.io reports nothing for hours"


def a_wrong_key_is_noticed(applied: Applied) -> Iterator[str]:
    """After a 401 Customer.io waits an hour and holds the rest back: one refusal an hour, and nothing else."""
    for policy in applied.of("google_monitoring_alert_policy"):
        if _runbook(policy) == "webhook-unauthorized":
            threshold = policy["conditions"][0]["condition_threshold"][0]
            window = int(threshold["aggregations"][0]["alignment_period"].removesuffix("s"))
            if not threshold["denominator_filter"] or threshold["threshold_value"] >= 1 or not 3600 <= window <= 7200:
                yield "a wrong webhook key is not noticed within two hours: one refusal an hour must be enough"


def every_subscription_is_watched(applied: Applied) -> Iterator[str]:
    watched = [
        match[1]
        for filter_ in _filters(applied)
        if _AGE in filter_
        and (match := re.search(r'subscription_id = monitoring\.regex\.full_match\("(.*?)"\)', filter_))
    ]
    for name in applied.subscriptions:
        # Rings do not grow old: they are forgotten after ten minutes, and the jobs wait in the lane.
        if not name.endswith(BELL_SUFFIX) and not any(re.fullmatch(pattern, name) for pattern in watched):
            yield f"nobody is told when messages of {name} grow old"


def only_reminders_remind(applied: Applied) -> Iterator[str]:
    """Secret Manager also publishes each new version, and would raise the alert at the first apply."""
    for name, subscription in applied.subscriptions.items():
        if name.endswith("-secret-rotation") and subscription["filter"] != 'attributes.eventType = "SECRET_ROTATE"':
            yield f"subscription {name} takes more than reminders"


def a_start_that_fails_is_counted(applied: Applied) -> Iterator[str]:
    """A traceback on standard error has no severity."""
    for metric in applied.of("google_logging_metric"):
        if metric["name"].endswith("-starts") and (
            "severity" in metric["filter"] or 'textPayload:"Traceback' not in metric["filter"]
        ):
            yield f"metric {metric['name']} misses tracebacks, which have no severity"


def errors_are_kept(applied: Applied) -> Iterator[str]:
    for exclusion in applied.of("google_logging_project_exclusion"):
        filter_ = exclusion["filter"]
        if not re.search(r"severity(=INFO|<WARNING)( |$)", filter_) or " OR " in filter_:
            yield f"exclusion {exclusion['name']} drops warnings or errors"
        if f"{applied.environment}-cio-" not in filter_:
            yield f"exclusion {exclusion['name']} drops lines of others"


def the_dashboard_stays_as_it_is(applied: Applied) -> Iterator[str]:
    """The API leaves zeros and empty values out of what it returns: each would be a change at every plan."""
    for dashboard in applied.of("google_monitoring_dashboard"):
        written = json.loads(dashboard["dashboard_json"])
        if (returned := as_returned(written)) != written:
            yield f"dashboard {written['displayName']} has zeros or empty values, which the API does not return"
            assert returned


def as_returned(value: Any) -> Any:
    """What an API returns that leaves out every 0, false, empty text, list and object."""
    if isinstance(value, dict):
        return {key: kept for key, part in value.items() if (kept := as_returned(part)) not in (0, "", [], {}, None)}
    if isinstance(value, list):
        return [as_returned(part) for part in value]
    return value


def _filters(applied: Applied) -> Iterator[str]:
    for policy in applied.of("google_monitoring_alert_policy"):
        for condition in policy["conditions"]:
            for kind in ("condition_threshold", "condition_absent"):
                for part in condition[kind]:
                    yield part["filter"]


def _runbook(policy: Values) -> str:
    named = re.search(r"docs/runbooks\.md, (\S+)\.$", policy["documentation"][0]["content"])
    return named[1] if named else ""
