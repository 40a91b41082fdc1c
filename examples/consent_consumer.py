"""Keeps a table of who wants what right, from the topic cio-consent. Needs google-cloud-pubsub.

Messages may come twice and in any order: the newest change wins, and of two at the same instant the opt-out.
Customer.io reports the application's own writes back; what the table says already is no news.
"""

import json
import os
import signal
import sqlite3
import sys
import threading
from contextlib import suppress
from datetime import datetime

from google.api_core.exceptions import AlreadyExists
from google.cloud import pubsub_v1
from google.cloud.pubsub_v1.subscriber.message import Message

TABLE = """
CREATE TABLE IF NOT EXISTS consent (
  person TEXT, channel TEXT, topic TEXT, wanted INTEGER, at REAL, source TEXT, PRIMARY KEY (person, channel, topic)
)
"""
# An empty channel or topic stands for all of them.
KEEP = """
INSERT INTO consent VALUES (:person, :channel, :topic, :wanted, :at, :source)
ON CONFLICT DO UPDATE SET wanted = excluded.wanted, at = excluded.at, source = excluded.source
WHERE excluded.at > at OR (excluded.at = at AND NOT excluded.wanted)
"""
ENDS = {signal.SIGINT, signal.SIGTERM}
WANTED = "SELECT wanted FROM consent WHERE (person, channel, topic) = (:person, :channel, :topic)"


def keep(database: sqlite3.Connection, consent: dict[str, str | bool | None]) -> bool:
    """Write one change down. Returns whether the person's wish is another one now."""
    row = {
        "person": consent["id"] or consent["cio_id"] or consent["email"],
        "channel": consent["channel"] or "",
        "topic": consent["topic"] or "",
        "wanted": consent["wanted"],
        "at": datetime.fromisoformat(str(consent["at"])).timestamp(),
        "source": consent["source"],
    }
    with database:
        before = database.execute(WANTED, row).fetchone()
        database.execute(KEEP, row)
        return before != database.execute(WANTED, row).fetchone()


def main() -> None:
    # Threads that are made later inherit this, so that the signals wait for sigwait.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    project = os.environ["GOOGLE_CLOUD_PROJECT"]
    database = sqlite3.connect(sys.argv[1], check_same_thread=False)
    database.execute(TABLE)
    lock = threading.Lock()
    subscriber = pubsub_v1.SubscriberClient()
    subscription = subscriber.subscription_path(project, "cio-consent-example")
    # In Google Cloud, Terraform makes the subscription: variable event_subscriptions, with topic = "consent".
    if os.environ.get("PUBSUB_EMULATOR_HOST"):
        topic = f"projects/{project}/topics/cio-consent"
        with suppress(AlreadyExists):
            subscriber.create_subscription(request={"name": subscription, "topic": topic})

    def receive(message: Message) -> None:
        consent = json.loads(message.data)
        with lock:
            is_news = keep(database, consent)
        if is_news:
            print(f"{consent['source']}: {consent['id']} wants it: {consent['wanted']}", flush=True)
        message.ack()  # after the commit: a crash before it brings the message again

    stream = subscriber.subscribe(subscription, receive)
    stream.add_done_callback(lambda _: os.kill(os.getpid(), signal.SIGTERM))  # an error ends the wait, too
    print("waiting for changes", flush=True)
    signal.sigwait(ENDS)
    stream.cancel()
    stream.result()


if __name__ == "__main__":
    main()
