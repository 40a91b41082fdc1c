"""Publishing the jobs of a form, by the same publisher as the command ``publish``."""

from collections.abc import Sequence

from ops import clients
from ops.errors import OperatorError
from ops.job_builder import Job
from ops.publishing import ConfirmedPublisher, Outgoing
from ops.target import Target
from shared.topology import topology


def publish(target: Target, kind: str, jobs: Sequence[Job]) -> None:
    """Publish jobs and wait until each is on its topic. It blocks.

    Raises:
        OperatorError: if Pub/Sub does not answer, or refused some of them.
    """
    topic = target.topic(topology().topics[kind].name)
    outgoing = [Outgoing(topic, job.data, job.attributes, job.ordering_key) for job in jobs]
    with ConfirmedPublisher(clients.publisher(target)) as publisher:
        problems = [problem for problem in publisher.publish(outgoing) if problem]
        if publisher.is_unreachable:
            raise clients.pubsub_unreachable(target)
    if problems:
        raise OperatorError(f"Pub/Sub refused {len(problems)} of {len(jobs)} jobs ({problems[0]}): try again.")
