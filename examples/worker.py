"""A plain worker that publishes jobs: one order a line on standard input, as JSON. SIGTERM and Ctrl-C lose nothing.

Needs the package customerio-jobs.
"""

import json
import sys

from customerio_jobs import FailedJob, InvalidJob, JobOptions, Publisher


def keep(failed: FailedJob) -> None:
    """Say which job Pub/Sub did not take. A real worker puts it aside, to publish it again."""
    print(f"{failed.kind} job {failed.job_id} failed: {failed.advice}", file=sys.stderr)


def main() -> None:
    publisher = Publisher(on_error=keep)
    for line in sys.stdin:
        order = json.loads(line)
        # The same id is the same job: a worker that reads an order twice sends one receipt.
        options = JobOptions(job_id=f"receipt-{order['id']}", delivery_guarantee="at_most_once")
        try:
            publisher.track(order["person"], "order_placed", {"order": order["id"], "total": order["total"]})
            publisher.send_email(
                to=order["email"],
                identifiers={"id": order["person"]},
                transactional_message_id="receipt",
                message_data={"order": order["id"]},
                options=options,
            )
        except InvalidJob as error:
            print(f"order {order['id']}: {error}", file=sys.stderr)
    print(f"{publisher.close()} jobs failed")


if __name__ == "__main__":
    main()
