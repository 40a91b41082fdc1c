"""``doctor``: checks everything that the product needs, one line each."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from ops import console
from ops.commands.doctor.customerio import check_customerio
from ops.commands.doctor.finding import Finding, failed, ok, skipped
from ops.commands.doctor.forgetting import check_forgetting
from ops.commands.doctor.keys import read_keys
from ops.commands.doctor.ledger import check_ledger
from ops.commands.doctor.pubsub import check_pubsub
from ops.commands.doctor.recipients import check_recipients
from ops.commands.doctor.warehouse import check_warehouse
from ops.commands.doctor.webhook import check_webhook
from ops.errors import LOGIN_ADVICE, OperatorError
from ops.option_groups import with_option_groups
from ops.target import Target, Where

_STYLES = {"ok": "green", "failed": "red", "skipped": "yellow"}
_MIN_FREE_DISK_BYTES = 1_000_000_000
"""Room for the local ledger, BigQuery's data and the logs."""


@dataclass(frozen=True, slots=True)
class Given:
    """Options that take the place of variables."""

    region: Annotated[
        str | None, typer.Option("--region", help="Region of the workspace, us or eu.  [default: CUSTOMERIO_REGION]")
    ] = None
    webhook_url: Annotated[
        str | None,
        typer.Option("--webhook-url", help="URL of the webhook function.  [default: CUSTOMERIO_WEBHOOK_URL]"),
    ] = None

    def on(self, target: Target) -> Target:
        given = {"CUSTOMERIO_REGION": self.region, "CUSTOMERIO_WEBHOOK_URL": self.webhook_url}
        named = {name: value for name, value in given.items() if value is not None}
        return replace(target, environment={**target.environment, **named})


@with_option_groups
def doctor(given: Given, where: Where, as_json: console.JsonOption = False) -> None:
    """Check credentials, region, topics, subscriptions, functions, ledger, disk, tables and the webhook.

    Each line is ok, or says what to do. The webhook gets one test event (metric ops_self_test).
    Exit status 1 if a check fails.
    """
    target = given.on(where.target())
    findings: list[Finding] = []
    for finding in _findings(target):
        findings.append(finding)
        if not as_json:
            _print(finding)
    count = {verdict: sum(finding.verdict == verdict for finding in findings) for verdict in _STYLES}
    if as_json:
        listed = [{"check": each.check, "verdict": each.verdict, "text": each.text} for each in findings]
        console.print_json({**count, "findings": listed})
    else:
        console.note(", ".join(f"{number} {verdict}" for verdict, number in count.items()))
    if count["failed"]:
        raise typer.Exit(1)


def check_disk(target: Target, free_bytes: Callable[[str], int] = lambda path: shutil.disk_usage(path).free) -> Finding:
    """Check that the local stack's disk has room left."""
    directory = target.local_directory
    if not directory.exists():
        return skipped("disk", f"there is no {directory} here: start the local stack with `make run`")
    free = free_bytes(str(directory))
    text = f"{free / 1e9:.1f} GB free for {directory}"
    if free < _MIN_FREE_DISK_BYTES:
        return failed("disk", f"{text}: at least 1 GB is needed; delete files, or .local with the stack stopped")
    return ok("disk", text)


def _print(finding: Finding) -> None:
    line = console.plain(f"{finding.verdict:<8}")
    line.stylize(_STYLES[finding.verdict])
    console.out().print(line + console.plain(f"{finding.check}: {finding.text}"), soft_wrap=True)


def _findings(target: Target) -> Iterator[Finding]:
    keys, findings = read_keys(target)
    yield from findings
    sections: list[Iterator[Finding]] = [
        check_customerio(target, keys),
        iter([check_recipients(target)]),
        _reached("Pub/Sub", check_pubsub(target)),
        _reached("ledger", check_ledger(target)),
        _reached("forget", check_forgetting(target)),
        iter([check_disk(target)] if target.is_local else []),
        _reached("BigQuery", check_warehouse(target)),
        check_webhook(target, keys),
    ]
    # All at once: several services that never answer cost no more time than one.
    with ThreadPoolExecutor(len(sections)) as pool:
        for findings in pool.map(_all, sections):
            yield from findings


def _all(findings: Iterator[Finding]) -> list[Finding]:
    return list(findings)


def _reached(service: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Pass the findings on, up to where the service cannot be asked any more."""
    from google.api_core.exceptions import GoogleAPIError, RetryError  # noqa: PLC0415
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415

    try:
        yield from findings
    except DefaultCredentialsError:
        yield failed(service, f"there are no credentials: {LOGIN_ADVICE}")
    except OperatorError as error:
        yield failed(service, str(error).removeprefix(f"{service} "))
    except (GoogleAPIError, GoogleAuthError, RequestException) as error:
        cause = error.cause if isinstance(error, RetryError) else error
        yield failed(service, f"does not answer ({type(cause).__name__}): check the network and its host")
