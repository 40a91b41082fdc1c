"""``doctor``: everything that has to be right, one line each."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

import typer

from ops import screen
from ops.doctor.customerio import check_customerio
from ops.doctor.finding import Finding, failed
from ops.doctor.keys import read_keys
from ops.doctor.pubsub import check_pubsub
from ops.doctor.warehouse import check_warehouse
from ops.doctor.webhook import check_webhook
from ops.target import EnvironmentOption, ProjectOption, Target, resolve

_STYLES = {"ok": "green", "failed": "red", "skipped": "yellow"}


def doctor(
    region: Annotated[
        str | None, typer.Option("--region", help="Where the workspace is, us or eu.  [default: CUSTOMERIO_REGION]")
    ] = None,
    webhook_url: Annotated[
        str | None, typer.Option("--webhook-url", help="Of the webhook function.  [default: CUSTOMERIO_WEBHOOK_URL]")
    ] = None,
    project: ProjectOption = None,
    environment: EnvironmentOption = None,
) -> None:
    """Check credentials, region, topics, subscriptions, functions, tables and the webhook.

    Each line is ok, or says what to do. Sends one test event to the webhook (metric ops_self_test).
    Exit status 1 when a check fails.
    """
    target = resolve(project, environment)
    given = {"CUSTOMERIO_REGION": region, "CUSTOMERIO_WEBHOOK_URL": webhook_url}
    target = replace(target, environment={**target.environment, **{k: v for k, v in given.items() if v is not None}})
    count = dict.fromkeys(_STYLES, 0)
    for finding in _findings(target):
        count[finding.verdict] += 1
        line = screen.plain(f"{finding.verdict:<8}")
        line.stylize(_STYLES[finding.verdict])
        screen.out().print(line + screen.plain(f"{finding.check}: {finding.text}"), soft_wrap=True)
    screen.say(", ".join(f"{number} {verdict}" for verdict, number in count.items()))
    if count["failed"]:
        raise typer.Exit(1)


def _findings(target: Target) -> Iterator[Finding]:
    keys, findings = read_keys(target)
    yield from findings
    yield from check_customerio(target, keys)
    yield from _reached("Pub/Sub", check_pubsub(target))
    yield from _reached("BigQuery", check_warehouse(target))
    yield from check_webhook(target, keys)


def _reached(service: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings, up to where the service could not be asked any more."""
    from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415

    try:
        yield from findings
    except DefaultCredentialsError:
        yield failed(service, "there are no credentials: run `gcloud auth application-default login`")
    except (GoogleAPIError, GoogleAuthError, RequestException) as error:
        yield failed(service, f"cannot be asked: {type(error).__name__}")
