"""`python -m local.customerio`: prints one line with both URLs once it listens, runs until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import gc
import os
import signal
from collections.abc import Mapping, Sequence

from local import deadlines
from local.customerio.gateway import Credentials
from local.customerio.rates import Rates
from local.customerio.server import Simulator
from local.customerio.webhooks import RetryPolicy, Target
from local.customerio.workspace import Timing

# The state is large, is kept on purpose and has almost no cycles. The default thresholds would walk it under load.
_GC_THRESHOLDS = (50_000, 20, 100)


def parse_arguments(argv: Sequence[str] | None, environ: Mapping[str, str]) -> argparse.Namespace:
    """Read the options. Credentials and webhook settings default to the functions' environment variables."""
    accepted = Credentials()

    def env(name: str, default: str) -> str:
        return environ.get(f"CUSTOMERIO_{name}") or default

    parser = argparse.ArgumentParser(prog="python -m local.customerio", description="Customer.io on one machine.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--track-port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--app-port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--site-id", default=env("SITE_ID", accepted.site_id))
    parser.add_argument("--track-api-key", default=env("TRACK_API_KEY", accepted.track_api_key))
    parser.add_argument("--app-api-key", default=env("APP_API_KEY", accepted.app_api_key))
    parser.add_argument("--region", default=env("REGION", "us"), help="us or eu")
    parser.add_argument("--redirect-to", metavar="URL", help="be the wrong region: answer Track calls 301 to this host")
    parser.add_argument("--webhook-url", default=env("WEBHOOK_URL", ""))
    parser.add_argument("--webhook-signing-key", default=env("WEBHOOK_SIGNING_KEY", ""))
    parser.add_argument(
        "--webhook-long-wait-seconds",
        type=float,
        default=deadlines.WEBHOOK_LONG_WAIT_SECONDS,
        help="longest wait after a refused webhook, an hour at Customer.io",
    )
    parser.add_argument(
        "--reaction-seconds",
        type=float,
        default=deadlines.DEFAULT_REACTION_SECONDS,
        help="about how long people take to open a message; 0 reports everything at once",
    )
    parser.add_argument(
        "--time-scale",
        type=_positive,
        default=1.0,
        help="divides the broadcast pause and the wait after a refused webhook",
    )
    options = parser.parse_args(argv)
    # argparse applies `choices` to options only, not to a default, and this one comes from the environment.
    if options.region not in ("us", "eu"):
        parser.error("--region must be us or eu")
    if options.webhook_url and not options.webhook_signing_key:
        parser.error("--webhook-url needs --webhook-signing-key")
    return options


def simulator(options: argparse.Namespace) -> Simulator:
    long_wait = min(deadlines.WEBHOOK_LONG_WAIT_SECONDS / options.time_scale, options.webhook_long_wait_seconds)
    return Simulator(
        host=options.host,
        track_port=options.track_port,
        app_port=options.app_port,
        credentials=Credentials(options.site_id, options.track_api_key, options.app_api_key),
        region=options.region,
        redirect_to=options.redirect_to,
        webhook=Target(options.webhook_url, options.webhook_signing_key) if options.webhook_url else None,
        retry_policy=RetryPolicy(long_wait=long_wait),
        rates=Rates.published(options.time_scale),
        timing=Timing(reaction=options.reaction_seconds),
    )


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("must be a number above 0")
    return number


async def serve(sim: Simulator) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with sim:
        print(f"simulator ready track={sim.track_url} app={sim.app_url}", flush=True)
        await stop.wait()


if __name__ == "__main__":
    gc.set_threshold(*_GC_THRESHOLDS)
    asyncio.run(serve(simulator(parse_arguments(None, os.environ))))
