"""`python -m local.customerio`: prints one line with both URLs when it listens, runs until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import gc
import os
import signal
from collections.abc import Mapping, Sequence

from local.customerio import limits
from local.customerio.server import Credentials, Simulator
from local.customerio.webhooks import Patience, Target

# The state kept on purpose is large and almost free of cycles; the default would walk it again and again under load.
_GC_THRESHOLDS = (50_000, 20, 100)


def arguments(argv: Sequence[str] | None, environ: Mapping[str, str]) -> argparse.Namespace:
    """Options, with the environment variables of the functions as defaults."""
    accepted = Credentials()

    def env(name: str, default: str) -> str:
        return environ.get(f"CUSTOMERIO_{name}") or default

    parser = argparse.ArgumentParser(prog="python -m local.customerio", description="Customer.io on one machine.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--track-port", type=int, default=0, help="0: a free one")
    parser.add_argument("--app-port", type=int, default=0, help="0: a free one")
    parser.add_argument("--site-id", default=env("SITE_ID", accepted.site_id))
    parser.add_argument("--track-api-key", default=env("TRACK_API_KEY", accepted.track_api_key))
    parser.add_argument("--app-api-key", default=env("APP_API_KEY", accepted.app_api_key))
    parser.add_argument("--region", default=env("REGION", "us"), help="us or eu")
    parser.add_argument("--redirect-to", metavar="URL", help="be the wrong region: answer Track calls 301 to this host")
    parser.add_argument("--webhook-url", default=env("WEBHOOK_URL", ""))
    parser.add_argument("--webhook-signing-key", default=env("WEBHOOK_SIGNING_KEY", ""))
    parser.add_argument(
        "--webhook-hour-seconds",
        type=float,
        default=limits.WEBHOOK_LONG_WAIT_SECONDS,
        help="the longest wait after a refusal, one hour at Customer.io; shorten it where the endpoint restarts",
    )
    options = parser.parse_args(argv)
    # Not `choices`: those are not applied to a default, and this one comes from outside.
    if options.region not in ("us", "eu"):
        parser.error("--region must be us or eu")
    if options.webhook_url and not options.webhook_signing_key:
        parser.error("--webhook-url needs --webhook-signing-key")
    return options


def simulator(options: argparse.Namespace, time_scale: float) -> Simulator:
    """`time_scale` divides the broadcast pause and the webhooks' hour; timeouts stay as they are."""
    hour = min(limits.WEBHOOK_LONG_WAIT_SECONDS / time_scale, options.webhook_hour_seconds)
    return Simulator(
        host=options.host,
        track_port=options.track_port,
        app_port=options.app_port,
        credentials=Credentials(options.site_id, options.track_api_key, options.app_api_key),
        region=options.region,
        redirect_to=options.redirect_to,
        webhook=Target(options.webhook_url, options.webhook_signing_key) if options.webhook_url else None,
        patience=Patience(long_wait=hour),
        broadcast_pause=limits.BROADCAST_PAUSE_SECONDS / time_scale,
    )


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
    asyncio.run(serve(simulator(arguments(None, os.environ), float(os.environ.get("STACK_TIME_SCALE", "1")))))
