from collections.abc import Callable, Mapping

import pytest
from google.api_core import exceptions
from hypothesis import given, settings
from hypothesis import strategies as st

from local.pubsub.filters import MAX_FILTER_BYTES, FilterError, parse_filter
from shared.topology import BELL_ATTRIBUTES, topology
from tests.local_pubsub.broker_helpers import PubSub, RecordingEndpoint

ATTRIBUTES = {"domain": "com", "ce-type": "order", "with space": 'quo"te'}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("attributes:domain", True),
        ("attributes:missing", False),
        ("NOT attributes:missing", True),
        ("NOT NOT attributes:domain", True),
        ('attributes.domain = "com"', True),
        ('attributes.domain="net"', False),
        ('attributes.domain = "COM"', False),
        ('attributes.domain != "net"', True),
        ('attributes.domain != "com"', False),
        ('attributes.missing != "com"', True),
        ('hasPrefix(attributes.domain, "co")', True),
        ('hasPrefix(attributes.domain, "om")', False),
        ('hasPrefix(attributes.missing, "")', False),
        ('attributes.ce-type = "order"', True),
        ('attributes:"with space"', True),
        ('attributes."with space" = "quo\\"te"', True),
        ('attributes.domain = "\\u0063om"', True),
        ('attributes:domain AND attributes:ce-type AND hasPrefix(attributes.domain, "c")', True),
        ("attributes:missing OR attributes:other OR attributes:domain", True),
        ("attributes:missing OR (attributes:domain AND NOT attributes:other)", True),
        ("NOT (attributes:missing OR attributes:domain)", False),
        (" \n attributes : domain ", True),
        ("attributes:AND", False),
    ],
)
def test_a_filter_matches_attributes(text: str, matches: bool) -> None:
    assert parse_filter(text)(ATTRIBUTES) is matches


@pytest.mark.parametrize(
    "text",
    [
        "",
        "domain",
        "attributes",
        "attributes:",
        "attributes.domain",
        "attributes.domain =",
        "attributes.domain = com",
        'attributes.domain == "com"',
        'attributes.domain > "com"',
        'attributes.domain = "com',
        'attributes.domain = "\\q"',
        "attributes:domain and attributes:other",
        "attributes:domain AND",
        "NOT",
        "(attributes:domain",
        "attributes:domain)",
        "attributes:domain attributes:other",
        'hasprefix(attributes.domain, "co")',
        "hasPrefix(attributes.domain)",
        'hasPrefix(attributes:domain, "co")',
        "attributes:a AND attributes:b OR attributes:c",
        "attributes:" + "a" * MAX_FILTER_BYTES,
    ],
)
def test_what_is_not_a_filter_is_refused(text: str) -> None:
    with pytest.raises(FilterError):
        parse_filter(text)


@settings(deadline=None)  # a busy machine is not a failure
@given(st.text(alphabet=' ()"\\=!:.,abAND ORNOTattributeshasPrefix☃', max_size=80))
def test_any_text_is_a_filter_or_a_filter_error(text: str) -> None:
    try:
        matches = parse_filter(text)({"a": "b"})
    except FilterError:
        return
    assert isinstance(matches, bool)


type Evaluated = tuple[str, Callable[[Mapping[str, str]], bool]]
"""A filter's text, and what it means."""

names = st.text(min_size=1, max_size=4)
values = st.text(max_size=4)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def has(name: str) -> Evaluated:
    return f"attributes:{quoted(name)}", lambda attributes: name in attributes


def equals(name: str, value: str) -> Evaluated:
    return f"attributes.{quoted(name)} = {quoted(value)}", lambda attributes: attributes.get(name) == value


def differs(name: str, value: str) -> Evaluated:
    return f"attributes.{quoted(name)}!={quoted(value)}", lambda attributes: attributes.get(name) != value


def starts(name: str, value: str) -> Evaluated:
    return (
        f"hasPrefix(attributes.{quoted(name)},{quoted(value)})",
        lambda attributes: name in attributes and attributes[name].startswith(value),
    )


def negated(inner: Evaluated) -> Evaluated:
    return f"NOT ({inner[0]})", lambda attributes: not inner[1](attributes)


def both(left: Evaluated, right: Evaluated) -> Evaluated:
    return f"({left[0]}) AND ({right[0]})", lambda attributes: left[1](attributes) and right[1](attributes)


def either(left: Evaluated, right: Evaluated) -> Evaluated:
    return f"({left[0]}) OR ({right[0]})", lambda attributes: left[1](attributes) or right[1](attributes)


comparisons = st.one_of(
    st.builds(has, names),
    st.builds(equals, names, values),
    st.builds(differs, names, values),
    st.builds(starts, names, values),
)
filters = st.recursive(
    comparisons,
    lambda inner: st.one_of(st.builds(negated, inner), st.builds(both, inner, inner), st.builds(either, inner, inner)),
    max_leaves=4,
).filter(lambda evaluated: len(evaluated[0].encode()) <= MAX_FILTER_BYTES)


@settings(deadline=None)  # a busy machine is not a failure
@given(filters, st.dictionaries(names, values, max_size=3), st.data())
def test_a_filter_means_what_it_says(evaluated: Evaluated, attributes: dict[str, str], data: st.DataObject) -> None:
    text, meaning = evaluated
    # Random attributes rarely have a name of the filter's: add one.
    if '"' in text and data.draw(st.booleans()):
        attributes[text.split('"')[1]] = data.draw(values)

    assert parse_filter(text)(attributes) is meaning(attributes)


def test_a_subscription_gets_only_what_its_filter_lets_through(local: PubSub) -> None:
    topic = local.topic()
    filtered = local.subscription(topic, filter='attributes.metric = "opened" OR hasPrefix(attributes.metric, "cl")')
    everything = local.subscription(topic)
    for metric in ("sent", "opened", "clicked"):
        local.publish(topic, metric.encode(), metric=metric)

    assert {entry.message.data for entry in local.pull(filtered, 2)} == {b"opened", b"clicked"}
    assert len(local.pull(everything, 3)) == 3
    assert local.stats(filtered)["backlog"] == 2


def test_two_filters_share_a_topic_between_bulk_and_everything_else(local: PubSub, endpoint: RecordingEndpoint) -> None:
    topic = local.topic()
    bulk = local.push_subscription(topic, endpoint.url, filter='attributes.priority = "bulk"')
    urgent = local.subscription(topic, filter='NOT attributes.priority = "bulk"')
    unmarked = local.subscription(topic, filter="NOT attributes:priority")
    marked = local.subscription(topic, filter="attributes:priority")
    for data, attributes in (
        (b"none", {}),
        (b"bulk", {"priority": "bulk"}),
        (b"high", {"priority": "high"}),
        (b"empty", {"priority": ""}),
        (b"case", {"priority": "Bulk"}),
    ):
        local.publish(topic, data, **attributes)

    def pulled(subscription: str, count: int) -> set[bytes]:
        data = {received.message.data for received in local.pull(subscription, count)}
        assert local.stats(subscription)["backlog"] == count
        return data

    assert pulled(urgent, 4) == {b"none", b"high", b"empty", b"case"}
    assert pulled(unmarked, 1) == {b"none"}
    assert pulled(marked, 4) == {b"bulk", b"high", b"empty", b"case"}
    assert endpoint.next().body["message"]["attributes"] == {"priority": "bulk"}
    assert local.wait_for_stats(bulk, backlog=0)["delivered"] == 1


def test_a_message_that_only_rings_is_no_job_of_lane_bulk(local: PubSub) -> None:
    topic = local.topic()
    kind = topology().topics["send"]
    filters = {hop.lane: hop.filter for hop in kind.hops}
    main, bulk = (local.subscription(topic, filter=filters[lane]) for lane in ("main", "bulk"))
    bell = local.subscription(topic, filter=kind.bell_filter)
    local.publish(topic, b"urgent")
    local.publish(topic, b"bulk", priority="bulk")
    local.publish(topic, b"", **BELL_ATTRIBUTES)
    assert [received.message.data for received in local.pull(main)] == [b"urgent"]
    assert [received.message.data for received in local.pull(bulk)] == [b"bulk"]
    assert {received.message.data for received in local.pull(bell, 2)} == {b"bulk", b""}
    assert [local.stats(each)["backlog"] for each in (main, bulk, bell)] == [1, 1, 2]


def test_a_subscription_with_a_bad_filter_is_refused(local: PubSub) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="Invalid filter"):
        local.subscription(local.topic(), filter="nonsense (")
