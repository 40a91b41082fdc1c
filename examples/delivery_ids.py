"""Learns what became of jobs: prints a line per outcome, with the delivery id of each message that was sent.

Needs google-cloud-pubsub. The subscription is one of the topic cio-outcomes: docs/publishing.md says how it is made.
"""

import json
import os
import sys

from google.cloud.pubsub_v1 import SubscriberClient
from google.cloud.pubsub_v1.subscriber.message import Message


def told(message: Message) -> None:
    """Take one outcome. A real application stores the delivery id with its order, and meets duplicates."""
    outcome = json.loads(message.data)
    print(outcome["job_id"], outcome["outcome"], outcome.get("delivery_id") or outcome.get("reason", ""), flush=True)
    message.ack()


def main() -> None:
    project, name = os.environ["GOOGLE_CLOUD_PROJECT"], sys.argv[1]
    with SubscriberClient() as client:
        pulling = client.subscribe(f"projects/{project}/subscriptions/{name}", callback=told)
        try:
            pulling.result()
        except KeyboardInterrupt:
            pulling.cancel()
            pulling.result()


if __name__ == "__main__":
    main()
