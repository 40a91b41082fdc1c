"""Each rule about pauses is broken by the fault it is there for, and metrics see the lines that control writes."""

import copy
import json
import time

import pytest

from shared.handlers.pauses import Pauses
from shared.pubsub.pause import Pace, PushState
from shared.pubsub.push_switch import Change, PushSwitch
from shared.telemetry import Telemetry
from tests.terraform.applied import Applied
from tests.terraform.planting import Fault, added, changed, planted, setting, unordered, without
from tests.terraform.terraform_tool import ROOT
from tests.terraform.test_metrics_see_the_logs import _counting
from tests.terraform.wiring import problems

_PROJECT = "acme-customerio-prod"
_CONTROL = f"serviceAccount:prod-cio-control@{_PROJECT}.iam.gserviceaccount.com"
_FUNCTION = "module.control.google_cloudfunctions2_function.this"
_JOB = "google_cloud_scheduler_job.tick"


def _told(old: str, new: str) -> Fault:
    def change(values: dict[str, list[dict[str, dict[str, str]]]]) -> None:
        variables = values["service_config"][0]["environment_variables"]
        assert old in variables["PUSH_TARGETS"]
        variables["PUSH_TARGETS"] = variables["PUSH_TARGETS"].replace(old, new)

    return changed(_FUNCTION, change)


def _not_told_where_to_ask(values: dict[str, list[dict[str, dict[str, str]]]]) -> None:
    del values["service_config"][0]["environment_variables"]["CONTROL_TOPIC"]


FAULTS: dict[str, tuple[Fault, str]] = {
    "no tick": (without(_JOB), "nothing asks control every minute to look at pauses: a pause would never end"),
    "a tick an hour": (
        changed(_JOB, setting(schedule="0 * * * *")),
        "nothing asks control every minute to look at pauses: a pause would never end",
    ),
    "Cloud Scheduler may not publish": (
        without("google_pubsub_topic_iam_member.scheduler_ticks"),
        "Cloud Scheduler's agent may not publish to prod-cio-control: control is never asked",
    ),
    "control may not change a subscription": (
        without('google_pubsub_subscription_iam_member.control_pauses["send-retry"]'),
        f"{_CONTROL} may not pause prod-cio-send-retry",
    ),
    "control's role without the permission": (
        changed("google_project_iam_custom_role.pauses", setting(permissions=["pubsub.subscriptions.get"])),
        f"{_CONTROL} may not pause prod-cio-send",
    ),
    "control may change dead letters": (
        added(
            "google_pubsub_subscription_iam_member",
            subscription="prod-cio-send-dead-letter",
            role=f"projects/{_PROJECT}/roles/prod_cio_pauses",
            member=_CONTROL,
        ),
        f"{_CONTROL} may change the push of prod-cio-send-dead-letter",
    ),
    "control may not act as the push identity": (
        without('google_service_account_iam_member.control_acts_as["send"]'),
        (
            f"control may not have pushes signed as prod-cio-send-push@{_PROJECT}.iam.gserviceaccount.com: "
            "it cannot resume prod-cio-send"
        ),
    ),
    "control is told another address": (
        _told("prod-cio-send-push@", "prod-cio-track-push@"),
        "control would put back another push config of prod-cio-send",
    ),
    "control is not told of a lane": (
        _told(f'"projects/{_PROJECT}/subscriptions/prod-cio-track-retry"', '"projects/p/subscriptions/prod-cio-x"'),
        "control is not told where prod-cio-track-retry pushes",
    ),
    "a function is not told where to ask": (
        changed('module.function["send"].google_cloudfunctions2_function.this', _not_told_where_to_ask),
        "prod-cio-send calls Customer.io and is not told where to ask for a pause",
    ),
    "a function may not ask": (
        without('google_pubsub_topic_iam_member.functions_ask["send"]'),
        "prod-cio-send is told of prod-cio-control and may not publish to it",
    ),
    "a tick before control may act": (
        unordered("google_cloud_scheduler_job.tick", "google_service_account_iam_member.control_acts_as"),
        "google_cloud_scheduler_job.tick does not wait for google_service_account_iam_member.control_acts_as",
    ),
    "paused sends alert nobody": (
        without('module.monitoring.module.log_alerts.google_monitoring_alert_policy.this["sends-paused"]'),
        "there is no alert sends-paused",
    ),
    "a long pause alerts nobody": (
        without('module.monitoring.module.log_alerts.google_monitoring_alert_policy.this["pause-lasts"]'),
        "there is no alert pause-lasts",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(prod: Applied, name: str) -> None:
    fault, expected = FAULTS[name]

    assert expected in problems(planted(prod, fault))


def test_an_operator_who_may_not_pause_is_found(prod: Applied) -> None:
    resources = copy.deepcopy(prod.resources)
    grants = [each for each in resources if "operators_pause" in each.address and "send-main" in each.address]
    assert grants
    resources.remove(grants[0])

    assert f"{grants[0].values['member']} may not pause prod-cio-send" in problems(Applied(resources))


@pytest.mark.parametrize(
    ("before", "seconds", "counted"),
    [
        (PushState(), 0, {"pauses"}),
        (PushState(paused_by="customerio"), 899, {"paused"}),
        (PushState(paused_by="customerio"), 901, {"paused", "paused-long"}),
    ],
    ids=["begins", "goes on", "lasts"],
)
def test_the_lines_of_a_pause_are_counted(
    prod: Applied, capsys: pytest.CaptureFixture[str], before: PushState, seconds: int, counted: set[str]
) -> None:
    after = PushState(paused_by="customerio", reason="credentials_refused", since=int(time.time()) - seconds)
    line = _logged(Change(before, after), capsys)

    assert _counting(prod, line, service="prod-cio-control") == counted
    assert (line["kind"], line["reason"]) == ("send", "credentials_refused")


def test_runbooks_quote_the_words_of_control(capsys: pytest.CaptureFixture[str]) -> None:
    runbooks = " ".join((ROOT / "docs" / "runbooks.md").read_text().split())
    paused = PushState(paused_by="customerio", reason="server_error", since=1)

    for change in (Change(PushState(), paused), Change(paused, paused), Change(paused, PushState())):
        assert f"*{_logged(change, capsys)['message'].partition(',')[0]}" in runbooks


def _logged(change: Change, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    pauses = Pauses(PushSwitch({}, Pace()), {}, Telemetry("control", "control", "demo-project"))
    pauses.log("send", [change])
    line: dict[str, str] = json.loads(capsys.readouterr().out)
    return line
