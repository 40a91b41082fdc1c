from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.attributes import JobAttributes
from shared.errors import InvalidJob
from shared.outcome import Failed

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def expired(expires_at: str | None) -> Failed | None:
    return JobAttributes.decode({} if expires_at is None else {"expires_at": expires_at}).expired(NOW)


@pytest.mark.parametrize("text", [None, "1777636801", "2026-05-01T12:00:01Z", "2026-05-01T14:00:01+02:00"])
def test_in_time(text: str | None) -> None:
    assert expired(text) is None


@pytest.mark.parametrize("text", ["1777636790", "2026-05-01T11:59:50+00:00", "2026-05-01T13:59:50+02:00"])
def test_too_late(text: str) -> None:
    failure = expired(text)
    assert failure is not None
    assert (failure.error_class, failure.field) == ("expired", "expires_at")
    assert failure.message == "expired at 2026-05-01 11:59 UTC"


@given(st.text() | st.from_regex(r"\d+", fullmatch=True))
def test_what_cannot_be_read_is_refused_and_not_quoted(text: str) -> None:
    try:
        expired(text)
    except InvalidJob as error:
        assert error.field == "expires_at"
        assert error.problem == "the attribute must be unix seconds, or ISO 8601 with an offset"


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-05-01T12:00:01", "1777636801.5", "9" * 40, "²"])
def test_what_is_no_instant_is_an_invalid_job(text: str) -> None:
    with pytest.raises(InvalidJob, match="expires_at"):
        expired(text)


@pytest.mark.parametrize(("attributes", "is_bulk"), [({}, False), ({"priority": "bulk"}, True)])
def test_a_job_is_bulk_only_if_it_says_so(attributes: dict[str, str], is_bulk: bool) -> None:
    assert JobAttributes.decode(attributes).is_bulk is is_bulk


@pytest.mark.parametrize("priority", ["", "urgent", "BULK"])
def test_no_other_priority(priority: str) -> None:
    with pytest.raises(InvalidJob, match="priority"):
        JobAttributes.decode({"priority": priority})
