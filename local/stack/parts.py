"""The parts of a stack and their settings: what Terraform wires in the cloud."""

import json
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from local import bigquery, deadlines
from local.stack.options import Options
from local.stack.ports import HOST, assign_ports
from local.stack.process import Part
from shared import push_targets
from shared.push_targets import PushTarget
from shared.settings import REAL_HOSTS, CustomerIOHosts
from shared.topology import topology

ROOT = Path(__file__).resolve().parents[2]
# DuckDB's extensions, 130 MB, are the same for every stack.
DUCKDB_HOME = ROOT / ".local" / "duckdb"

# Credentials that the simulator accepts, unless the environment has others.
_CREDENTIALS = {
    "CUSTOMERIO_SITE_ID": "local-site-id",
    "CUSTOMERIO_TRACK_API_KEY": "local-track-api-key",
    "CUSTOMERIO_APP_API_KEY": "local-app-api-key",
    "CUSTOMERIO_REGION": "us",
    # The key of the published test vector, so that the signed example in tests/data/webhook-payloads.json is accepted.
    "CUSTOMERIO_WEBHOOK_SIGNING_KEY": "755781b5e03a973f3405a85474d5a032a60fd56fabaad66039b12eadd83955fa",
}
_DATASET = "customerio"
_PROJECT = "customerio-local"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is started, and the environment that points a process at it.

    Args:
        environment: The variables of ``stack.env``, without the process ids.
        services: Parts that the functions need: Pub/Sub, BigQuery, the simulator.
        functions: The functions.
        console_port: Port of the page in the browser.
        external: For each part that is not started here, where it is and why.
        notes: Sentences for the user: ports that were taken.
    """

    environment: dict[str, str]
    console_port: int
    services: list[Part] = field(default_factory=list)
    functions: list[Part] = field(default_factory=list)
    external: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def plan(given: Mapping[str, str], data: Path, options: Options) -> Plan:
    """Plan a stack.

    Args:
        given: The user's environment. A part that it names is used instead of one of the stack's own.
        data: Folder for the stack's data.
        options: The user's settings.
    """
    names = list(topology().functions)
    ports, notes = assign_ports(options.port_base, names)
    environment = {name: given.get(name) or value for name, value in _CREDENTIALS.items()}
    environment |= {
        "GOOGLE_CLOUD_PROJECT": given.get("GOOGLE_CLOUD_PROJECT") or _PROJECT,
        "BIGQUERY_DATASET": given.get("BIGQUERY_DATASET") or _DATASET,
        "CUSTOMERIO_WEBHOOK_URL": f"http://{HOST}:{ports['webhook']}/",
        "CONSOLE_URL": f"http://{HOST}:{ports['console']}/",
        "LEDGER": f"sqlite:{data.absolute() / 'ledger.sqlite'}",
    }
    stack = Plan(environment, ports["console"], notes=notes)
    _plan_pubsub(stack, given, ports, options)
    _plan_bigquery(stack, given, ports, data)
    _plan_customerio(stack, given, ports, options)
    _plan_recipients(stack, given)
    stack.functions.extend(_function(name, ports, stack.environment, options) for name in names)
    return stack


def console(stack: Plan) -> Part:
    """Describe the console of a planned stack."""
    arguments = _arguments(host=HOST, port=stack.console_port)
    return _module("console", "local.console", arguments, stack.console_port, stack.environment)


def _plan_pubsub(stack: Plan, given: Mapping[str, str], ports: Mapping[str, int], options: Options) -> None:
    host = given.get("PUBSUB_EMULATOR_HOST") or f"{HOST}:{ports['pubsub']}"
    stack.environment["PUBSUB_EMULATOR_HOST"] = host
    # gcloud speaks REST, which the broker and Google's emulator serve on the same port.
    stack.environment["CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB"] = f"http://{host}/"
    if given.get("PUBSUB_EMULATOR_HOST"):
        stack.external["pubsub"] = f"{host} (PUBSUB_EMULATOR_HOST was set)"
        return
    stack.environment["PUBSUB_ADMIN_URL"] = f"http://{HOST}:{ports['pubsub-admin']}"
    arguments = _arguments(
        host=HOST, port=ports["pubsub"], admin_port=ports["pubsub-admin"], time_scale=options.time_scale
    )
    stack.services.append(_module("pubsub", "local.pubsub", arguments, ports["pubsub"]))


def _plan_bigquery(stack: Plan, given: Mapping[str, str], ports: Mapping[str, int], data: Path) -> None:
    if host := given.get("BIGQUERY_EMULATOR_HOST"):
        stack.environment["BIGQUERY_EMULATOR_HOST"] = host
        stack.external["bigquery"] = f"{host} (BIGQUERY_EMULATOR_HOST was set)"
        return
    stack.environment["BIGQUERY_EMULATOR_HOST"] = f"http://{HOST}:{ports['bigquery']}"
    command = bigquery.command(
        port=ports["bigquery"],
        grpc_port=ports["bigquery-grpc"],
        project=stack.environment["GOOGLE_CLOUD_PROJECT"],
        dataset=stack.environment["BIGQUERY_DATASET"],
        data=data / "bigquery",
    )
    stack.services.append(Part("bigquery", command, ports["bigquery"], bigquery.environment(DUCKDB_HOME)))


def _plan_customerio(stack: Plan, given: Mapping[str, str], ports: Mapping[str, int], options: Options) -> None:
    urls = {name: given[name] for name in ("CUSTOMERIO_TRACK_URL", "CUSTOMERIO_APP_URL") if given.get(name)}
    stack.environment.update(urls)
    if len(urls) == 2:
        stack.external["customer.io"] = f"{urls['CUSTOMERIO_TRACK_URL']} and {urls['CUSTOMERIO_APP_URL']} (were set)"
        return
    if not urls and (given.get("CUSTOMERIO_TRACK_API_KEY") or given.get("CUSTOMERIO_APP_API_KEY")):
        stack.external["customer.io"] = "the real one: credentials were set"
        return
    track_port, app_port = ports["customer.io"], ports["customer.io-app"]
    stack.environment.setdefault("CUSTOMERIO_TRACK_URL", f"http://{HOST}:{track_port}")
    stack.environment.setdefault("CUSTOMERIO_APP_URL", f"http://{HOST}:{app_port}")
    arguments = _arguments(
        host=HOST,
        track_port=track_port,
        app_port=app_port,
        time_scale=options.time_scale,
        reaction_seconds=options.reaction_seconds,
        webhook_long_wait_seconds=deadlines.STACK_WEBHOOK_LONG_WAIT_SECONDS,
    )
    stack.services.append(_module("customer.io", "local.customerio", arguments, track_port, stack.environment))


def _plan_recipients(stack: Plan, given: Mapping[str, str]) -> None:
    """Everybody at a simulator; nobody at Customer.io itself, where a message would reach a person."""
    if text := given.get("RECIPIENTS"):
        stack.environment["RECIPIENTS"] = text
        return
    region = "eu" if stack.environment["CUSTOMERIO_REGION"].strip().lower() == "eu" else "us"
    hosts = CustomerIOHosts.from_environment({**stack.environment, "CUSTOMERIO_REGION": region})
    is_real = any(urlsplit(url).hostname in REAL_HOSTS for url in (hosts.track_url, hosts.app_url))
    stack.environment["RECIPIENTS"] = json.dumps({"everybody": not is_real})
    if is_real:
        stack.notes.append(
            "Customer.io itself gets the sends, so nobody is written to: docs/recipients.md says how to allow somebody"
        )


def _function(name: str, ports: Mapping[str, int], environment: Mapping[str, str], options: Options) -> Part:
    project = environment["GOOGLE_CLOUD_PROJECT"]
    topics = topology().topics
    topic = next((topic for topic in topics.values() if topic.function == name), topics["events"])
    settings = {
        **environment,
        "FUNCTION_TARGET": name,
        "FUNCTION_SOURCE": str(ROOT / "functions" / name / "main.py"),
        "DEAD_LETTER_TOPIC": f"projects/{project}/topics/{topic.dead_letter_name}",
        "CONSENT_TOPIC": f"projects/{project}/topics/{topology().consumer_topics['consent']}",
        "EVENTS_TOPIC": f"projects/{project}/topics/{topics['events'].name}",
        "OUTCOMES_TOPIC": f"projects/{project}/topics/{topics['outcomes'].name}",
        "OUTCOMES_DEAD_LETTER_TOPIC": f"projects/{project}/topics/{topics['outcomes'].dead_letter_name}",
        "OUTCOMES_SAMPLE": "1",
        "CONTROL_TOPIC": f"projects/{project}/topics/{topics['control'].name}",
        "PUSH_TARGETS": push_targets.encode(_push_targets(project, ports)),
        "STACK_TIME_SCALE": f"{options.time_scale:g}",
        "PYTHONPATH": str(ROOT),
    }
    if topic.rate is not None and topic.function == name:
        settings["CUSTOMERIO_REQUESTS_PER_SECOND"] = f"{instance_rate(topic.rate, options.time_scale):g}"
    # One process runs functions-framework's own application under the server that it deploys with, so that its process
    # id is the one to watch.
    application = "functions_framework.aio:create_asgi_app"
    server = ["uvicorn", "--factory", application, "--no-access-log", "--log-level", "warning"]
    graceful = ["--timeout-graceful-shutdown", str(deadlines.FUNCTION_SHUTDOWN_SECONDS)]
    command = [sys.executable, "-m", *server, "--host", HOST, "--port", str(ports[name]), *graceful]
    return Part(name, command, ports[name], settings)


def endpoint(port: int) -> str:
    """Push endpoint of the function on ``port``."""
    return f"http://{HOST}:{port}/"


def _push_targets(project: str, ports: Mapping[str, int]) -> dict[str, PushTarget]:
    return {
        kind: PushTarget(
            tuple(f"projects/{project}/subscriptions/{name}" for name in topic.push_subscriptions),
            endpoint(ports[topic.function]),
        )
        for kind, topic in topology().topics.items()
        if topic.rate is not None
    }


def instance_rate(rate: str, time_scale: float) -> float:
    """Requests per second of one function: its share of the account's rate, as Terraform computes it.

    Each function runs as one instance here, so a function that is alone with its rate has all of it. The time scale
    divides the pause between broadcasts, and leaves the other rates as they are.
    """
    functions = {topic.function for topic in topology().topics.values() if topic.rate == rate}
    per_second = topology().rates[rate].per_second * (time_scale if rate == "broadcast" else 1.0)
    return math.floor(per_second / len(functions) * 10_000) / 10_000


def _arguments(**options: object) -> list[str]:
    """Command-line options by name; numbers without a needless fraction."""
    shown = {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in options.items()}
    return [text for name, value in shown.items() for text in (f"--{name.replace('_', '-')}", value)]


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
