"""Lane bulk is pulled: rules about who may, and about the bell without which nobody does."""

from collections.abc import Iterator

from shared.topology import BELL_ATTRIBUTES, Topic, topology
from tests.terraform.applied import PUBSUB_AGENT, Applied, Values, short
from tests.terraform.pausing import SCHEDULER_AGENT


def bulk_can_be_pulled(applied: Applied) -> Iterator[str]:
    """The function may pull its lane bulk and ring its bell. Nobody else reads the lane."""
    for kind in topology().topics.values():
        function = applied.functions[kind.function]
        topic = f"{applied.environment}-{kind.name}"
        for hop in kind.hops:
            if hop.delivery != "pull":
                continue
            lane = f"{applied.environment}-{hop.subscription}"
            pullers = applied.members("google_pubsub_subscription", lane, "roles/pubsub.subscriber")
            if function.member not in pullers:
                yield f"{function.service} may not pull {lane}: its jobs wait for ever"
            for member in sorted(pullers - {function.member, PUBSUB_AGENT}):
                yield f"{member} may read {lane}"
            if function.member not in applied.members("google_pubsub_topic", topic, "roles/pubsub.publisher"):
                yield f"{function.service} may not ring the bell of {lane}"
    functions = {function.member for function in applied.functions.values()}
    own = {
        f"{applied.environment}-{name}"
        for kind in topology().topics.values()
        for name in (kind.bell_name, *(hop.subscription for hop in kind.hops if hop.delivery == "pull"))
    }
    for grant in applied.grants:
        if grant.role == "roles/pubsub.subscriber" and grant.member in functions and grant.on not in own:
            yield f"{grant.member} may read {grant.on or 'every subscription'}"


def bulk_rings(applied: Applied) -> Iterator[str]:
    """A bell pushes to the function what its filter lets through, and something rings it every minute."""
    for kind in topology().topics.values():
        if kind.bell_name is None:
            continue
        name = f"{applied.environment}-{kind.bell_name}"
        bell = applied.subscriptions.get(name)
        if bell is None:
            yield f"subscription {name} is not there: nobody drains lane bulk"
            continue
        yield from _rings_as_described(applied, name, bell, kind)
        function = applied.functions[kind.function]
        if function.member not in applied.members("google_pubsub_subscription", name, "roles/pubsub.subscriber"):
            yield f"{function.service} may not seek {name}: each job of a mailing is pushed once more"
        topic = f"{applied.environment}-{kind.name}"
        if not any(_rings(job, topic) for job in applied.of("google_cloud_scheduler_job")):
            yield f"nothing rings {name} every minute: a job that was given back would wait for the next one"
        if SCHEDULER_AGENT not in applied.members("google_pubsub_topic", topic, "roles/pubsub.publisher"):
            yield f"Cloud Scheduler's agent may not publish to {topic}: {name} is not rung"


def _rings_as_described(applied: Applied, name: str, bell: Values, kind: Topic) -> Iterator[str]:
    uri = applied.functions[kind.function].settings["uri"]
    if not bell["push_config"] or bell["push_config"][0]["push_endpoint"] != uri:
        yield f"subscription {name} does not ring at its function"
    if bell["filter"] != kind.bell_filter:
        yield f"subscription {name} takes {bell['filter'] or 'everything'}"
    if bell["message_retention_duration"] != f"{topology().bell.retention_seconds}s":
        yield f"subscription {name} keeps rings for {bell['message_retention_duration']}"
    if bell["dead_letter_policy"]:
        yield f"subscription {name} forwards rings"


def _rings(job: Values, topic: str) -> bool:
    target = job["pubsub_target"]
    is_here = bool(target) and short(target[0]["topic_name"]) == topic and target[0]["attributes"] == BELL_ATTRIBUTES
    return is_here and job["schedule"] == "* * * * *" and not job["paused"]
