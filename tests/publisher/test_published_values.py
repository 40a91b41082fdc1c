"""Python values in a job: what has one meaning in JSON is converted, what has several is refused by name."""

import enum
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.jobs import parse
from shared.publisher import InvalidJob
from tests.publisher.recording import recording


class Name(str):
    __slots__ = ()


class Plan(enum.StrEnum):
    PRO = "pro"


class Level(enum.IntEnum):
    HIGH = 3


class Ratio(float):
    """As numpy's float64 is one."""


class NoOffset(tzinfo):
    """A time zone that says nothing, which Python counts as naive."""

    def utcoffset(self, _: datetime | None) -> None:
        return None

    def dst(self, _: datetime | None) -> None:
        return None

    def tzname(self, _: datetime | None) -> None:
        return None


def event_data(value: object) -> Any:
    publisher, messages = recording()
    publisher.track("42", "order_placed", {"given": value})
    return messages[0].body["attributes"]["given"]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, None),
        (True, True),
        ((1, (2, "3")), [1, [2, "3"]]),
        (MappingProxyType({"a": (1,)}), {"a": [1]}),
        (datetime(2026, 1, 1, tzinfo=UTC), 1_767_225_600),
        (datetime(1960, 1, 1, tzinfo=UTC), -315_619_200),
        (Name("Ada"), "Ada"),
        (Plan.PRO, "pro"),
        (Level.HIGH, 3),
        (Ratio(0.5), 0.5),
        ({Name("plan"): Plan.PRO}, {"plan": "pro"}),
        (2**64, 2**64),
    ],
)
def test_converted(value: object, told: object) -> None:
    converted = event_data(value)
    assert converted == told
    assert type(converted) is type(told)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (float("nan"), "finite"),
        (float("-inf"), "finite"),
        (datetime(2026, 1, 1), "time zone"),  # noqa: DTZ001 - naive on purpose
        (datetime(2026, 1, 1, tzinfo=NoOffset()), "time zone"),
        (date(2026, 1, 1), "date"),
        (time(12), "time"),
        (timedelta(seconds=1), "timedelta"),
        (Decimal("1.10"), "Decimal"),
        ({1, 2}, "set"),
        (b"bytes", "bytes"),
        (uuid.UUID(int=1), "UUID"),
        (object(), "object"),
        ("\ud800", "UTF-8"),
        ({1: 2}, "text as names, not int"),
        ({"\ud800": 1}, "UTF-8"),
    ],
)
def test_refused_with_the_path_of_the_value(value: object, problem: str) -> None:
    publisher, messages = recording()
    with pytest.raises(InvalidJob) as refused:
        publisher.track("42", "order_placed", {"lines": [{"price": 1}, {"price": value}]})
    assert refused.value.field == "attributes.lines[1].price"
    assert problem in refused.value.problem
    assert messages == []


def test_a_body_that_holds_itself_is_refused() -> None:
    loop: dict[str, Any] = {}
    loop["again"] = loop
    with pytest.raises(InvalidJob, match="body: is nested too deeply"):
        event_data(loop)


def test_a_number_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(InvalidJob, match="body: has a number of too many digits"):
        event_data(10**5000)


json_text = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
json_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False, allow_infinity=False),
    json_text,
)
json_values = st.recursive(
    json_scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(json_text, inner, max_size=4),
    max_leaves=20,
)

any_text = st.text(alphabet=st.characters(), max_size=9)
python_scalars = st.one_of(
    st.floats(),
    any_text,
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.dates(),
    st.decimals(),
    st.binary(max_size=9),
    st.uuids(),
    st.frozensets(st.integers(), max_size=3),
    st.sampled_from([Plan.PRO, Level.HIGH, Name("Ada"), Ratio("nan"), float, print, ...]),
)
python_values = st.recursive(
    python_scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(any_text | st.integers(), inner, max_size=3),
    ),
    max_leaves=9,
)


@given(json_values)
def test_json_arrives_as_it_is(value: object) -> None:
    assert event_data(value) == value


@given(python_values)
def test_anything_else_is_a_job_that_its_function_takes_or_is_refused(value: object) -> None:
    publisher, messages = recording()
    try:
        publisher.track("42", "order_placed", {"given": value})
    except InvalidJob as refused:
        assert refused.field.startswith("attributes.given")
        assert messages == []
    else:
        operation = parse("track", messages[0].data)
        json.dumps(operation.body, allow_nan=False)


@given(st.dictionaries(json_text, json_values, max_size=4))
def test_every_name_can_be_an_attribute_of_a_person(attributes: Mapping[str, Any]) -> None:
    publisher, messages = recording()
    publisher.identify("42", attributes)
    assert messages[0].body["attributes"] == attributes
