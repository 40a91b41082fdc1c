"""Which parts a stack has, and what each is told: the counterpart of Terraform's wiring for one machine."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local import bigquery
from local.stack.ports import HOST, free_ports
from local.stack.process import Part
from shared.topology import topology

ROOT = Path(__file__).resolve().parents[2]
# 130 MB of extensions, the same for every stack.
DUCKDB_HOME = ROOT / ".local" / "duckdb"

# What the simulator accepts, unless the environment has others.
_CREDENTIALS = {
    "CUSTOMERIO_SITE_ID": "local-site-id",
    "CUSTOMERIO_TRACK_API_KEY": "local-track-api-key",
    "CUSTOMERIO_APP_API_KEY": "local-app-api-key",
    "CUSTOMERIO_REGION": "us",
    # Of the published test vector: the signed example in tests/data/webhook-payloads.json is accepted here.
    "CUSTOMERIO_WEBHOOK_SIGNING_KEY": "755781b5e03a973f3405a85474d5a032a60fd56fabaad66039b12eadd83955fa",
}
_DATASET = "customerio"
_WEBHOOK_WAIT_SECONDS = 15
_PROJECT = "customerio-local"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is started, and the environment that points a process at it.

    Args:
        environment: the contract of ``stack.env``, without the process ids.
        services: what the functions need: Pub/Sub, BigQuery, the simulator.
        functions: the functions, by name.
        notes: a line per part that is not started here, and why.
    """

    environment: dict[str, str]
    services: list[Part] = field(default_factory=list)
    functions: list[Part] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)


def plan(given: Mapping[str, str], directory: Path, time_scale: float) -> Plan:
    """Plan a stack.

    Args:
        given: the environment as the user has it; what it names is used instead of a part of ours.
        directory: where data and logs go.
        time_scale: divides Pub/Sub's backoffs and the pause between broadcasts.
    """
    names = list(topology().functions)
    ports = iter(free_ports(6 + len(names)))
    function_ports = {name: next(ports) for name in names}
    environment = {name: given.get(name) or value for name, value in _CREDENTIALS.items()}
    environment |= {
        "GOOGLE_CLOUD_PROJECT": given.get("GOOGLE_CLOUD_PROJECT") or _PROJECT,
        "BIGQUERY_DATASET": given.get("BIGQUERY_DATASET") or _DATASET,
        "CUSTOMERIO_WEBHOOK_URL": f"http://{HOST}:{function_ports['webhook']}/",
    }
    made = Plan(environment)
    _plan_pubsub(made, given, next(ports), next(ports), time_scale)
    _plan_bigquery(made, given, next(ports), next(ports), directory)
    _plan_customerio(made, given, next(ports), next(ports))
    made.functions.extend(
        _function(name, port, made.environment, directory, time_scale) for name, port in function_ports.items()
    )
    return made


def _plan_pubsub(made: Plan, given: Mapping[str, str], port: int, admin_port: int, time_scale: float) -> None:
    if host := given.get("PUBSUB_EMULATOR_HOST"):
        made.environment["PUBSUB_EMULATOR_HOST"] = host
        made.notes["pubsub"] = f"{host} (PUBSUB_EMULATOR_HOST was set)"
        return
    made.environment["PUBSUB_EMULATOR_HOST"] = f"{HOST}:{port}"
    made.environment["PUBSUB_ADMIN_URL"] = f"http://{HOST}:{admin_port}"
    arguments = [
        "--host",
        HOST,
        "--port",
        str(port),
        "--admin-port",
        str(admin_port),
        "--time-scale",
        f"{time_scale:g}",
    ]
    made.services.append(_module("pubsub", "local.pubsub", arguments, port))


def _plan_bigquery(made: Plan, given: Mapping[str, str], port: int, grpc_port: int, directory: Path) -> None:
    if host := given.get("BIGQUERY_EMULATOR_HOST"):
        made.environment["BIGQUERY_EMULATOR_HOST"] = host
        made.notes["bigquery"] = f"{host} (BIGQUERY_EMULATOR_HOST was set)"
        return
    made.environment["BIGQUERY_EMULATOR_HOST"] = f"http://{HOST}:{port}"
    command = bigquery.command(
        port=port,
        grpc_port=grpc_port,
        project=made.environment["GOOGLE_CLOUD_PROJECT"],
        dataset=made.environment["BIGQUERY_DATASET"],
        data=directory / "bigquery",
    )
    made.services.append(Part("bigquery", command, port, bigquery.environment(DUCKDB_HOME)))


def _plan_customerio(made: Plan, given: Mapping[str, str], track_port: int, app_port: int) -> None:
    urls = {name: given[name] for name in ("CUSTOMERIO_TRACK_URL", "CUSTOMERIO_APP_URL") if given.get(name)}
    made.environment.update(urls)
    if len(urls) == 2:
        made.notes["customer.io"] = f"{urls['CUSTOMERIO_TRACK_URL']} and {urls['CUSTOMERIO_APP_URL']} (were set)"
        return
    if not urls and (given.get("CUSTOMERIO_TRACK_API_KEY") or given.get("CUSTOMERIO_APP_API_KEY")):
        made.notes["customer.io"] = "the real one: credentials were set"
        return
    made.environment.setdefault("CUSTOMERIO_TRACK_URL", f"http://{HOST}:{track_port}")
    made.environment.setdefault("CUSTOMERIO_APP_URL", f"http://{HOST}:{app_port}")
    arguments = ["--host", HOST, "--track-port", str(track_port), "--app-port", str(app_port)]
    # Customer.io waits an hour after most failures; here somebody is watching.
    arguments += ["--webhook-hour-seconds", str(_WEBHOOK_WAIT_SECONDS)]
    part = _module("customer.io", "local.customerio", arguments, track_port, made.environment)
    made.services.append(part)


def _function(name: str, port: int, environment: Mapping[str, str], directory: Path, time_scale: float) -> Part:
    project = environment["GOOGLE_CLOUD_PROJECT"]
    shape = topology()
    kinds = [kind for kind in shape.topics.values() if kind.function == name] or [shape.topics["events"]]
    told = {
        **environment,
        "FUNCTION_TARGET": name,
        "FUNCTION_SOURCE": str(ROOT / "functions" / name / "main.py"),
        "DEAD_LETTER_TOPIC": f"projects/{project}/topics/{kinds[0].dead_letter_name}",
        "EVENTS_TOPIC": f"projects/{project}/topics/{shape.topics['events'].name}",
        "LEDGER": f"sqlite:{directory / 'ledger.sqlite'}",
        "PYTHONPATH": str(ROOT),
    }
    if name == "broadcast":
        told["CUSTOMERIO_REQUESTS_PER_SECOND"] = f"{shape.rates['broadcast'].per_second * time_scale:g}"
    # functions-framework's own application under the server that it deploys with, in one process, so that its id is
    # the one to watch.
    server = [
        "uvicorn",
        "--factory",
        "functions_framework.aio:create_asgi_app",
        "--no-access-log",
        "--log-level",
        "warning",
    ]
    command = [sys.executable, "-m", *server, "--host", HOST, "--port", str(port), "--timeout-graceful-shutdown", "5"]
    return Part(name, command, port, told, asks="/")


def _module(
    name: str, module: str, arguments: list[str], port: int, environment: Mapping[str, str] | None = None
) -> Part:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return Part(
        name,
        [sys.executable, "-m", module, *arguments],
        port,
        {**(environment or {}), "PYTHONPATH": os.pathsep.join(paths)},
    )
