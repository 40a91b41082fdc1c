"""Customer.io's answers read into errors, without a network."""

import pytest
from multidict import CIMultiDict

from shared.customerio.errors import (
    AccountRefusedError,
    ConfigurationError,
    QuotaExceededError,
    RateLimitedError,
    RejectedError,
    UnknownOutcomeError,
    WrongRegionError,
)
from shared.customerio.responses import Answer, batch_error, item_errors, request_error

EXPLAINED = b'{"meta":{"error":"no such template"}}'
PAGE = b"<html><h1>Forbidden</h1></html>"


def answer(status: int, content: bytes = b"{}", **headers: str) -> Answer:
    return Answer(status, content, CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}))


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("content", [EXPLAINED, PAGE, b"\xff\xfe", b'{"meta":{"error":"\xff"}}', b"", b"[" * 100_000])
def test_what_is_about_the_body_is_rejected(status: int, content: bytes) -> None:
    assert isinstance(request_error(answer(status, content)), RejectedError)
    assert isinstance(batch_error(answer(status, content)), RejectedError)


@pytest.mark.parametrize("status", [402, 403, 404, 405, 407, 409, 410, 415, 451])
@pytest.mark.parametrize("content", [EXPLAINED, PAGE, b"\xff\xfe", b""])
def test_every_other_refusal_of_a_batch_is_about_the_account(status: int, content: bytes) -> None:
    error = batch_error(answer(status, content))
    assert isinstance(error, AccountRefusedError)
    assert (error.reason, error.status) == ("account_refused", status)


@pytest.mark.parametrize("status", [403, 404, 409])
def test_an_explained_refusal_of_one_request_is_the_jobs_fault(status: int) -> None:
    error = request_error(answer(status, EXPLAINED))
    assert isinstance(error, RejectedError)
    assert error.message == "no such template"


@pytest.mark.parametrize("status", [402, 403, 404, 405, 409])
@pytest.mark.parametrize("content", [PAGE, b"\xff\xfe", b"", b"{}", b'{"message":"Forbidden"}', b'{"errors":[{}]}'])
def test_an_unexplained_refusal_of_one_request_is_about_the_account(status: int, content: bytes) -> None:
    assert isinstance(request_error(answer(status, content)), AccountRefusedError)


@pytest.mark.parametrize("status", [402, 405, 407])
def test_payment_method_and_proxy_are_never_the_jobs_fault(status: int) -> None:
    assert isinstance(request_error(answer(status, EXPLAINED)), AccountRefusedError)


@pytest.mark.parametrize("read", [request_error, batch_error])
@pytest.mark.parametrize(
    "content",
    [
        b'{"meta":{"error":"daily limit reached"}}',
        b'{"errors":[{"detail":"Quota exceeded"}]}',
        b"10,000 messages per day",
        b"\xff daily",
    ],
)
def test_a_used_up_quota_needs_a_person(read: object, content: bytes) -> None:
    for headers in ({}, {"Retry_After": "36000"}):
        error = read(answer(429, content, **headers))  # type: ignore[operator]
        assert isinstance(error, QuotaExceededError)
        assert isinstance(error, ConfigurationError)
        assert (error.reason, error.status) == ("quota_exceeded", 429)


@pytest.mark.parametrize(
    ("content", "headers", "seconds"),
    [
        (b'{"meta":{"error":"too many requests"}}', {}, None),
        (b'{"meta":{"error":"quota of requests per second exceeded"}}', {"Retry_After": "2"}, 2.0),
        (b"{}", {"Retry_After": "0"}, 0.0),
        (b"{}", {"Retry_After": "1.5"}, 1.5),
        (b"{}", {"Retry_After": "86400"}, 300.0),
        (b"{}", {"Retry_After": "-1"}, None),
        (b"{}", {"Retry_After": "nan"}, None),
        (b"{}", {"Retry_After": "inf"}, None),
        (b"{}", {"Retry_After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        (b"\xff\xfe", {}, None),
    ],
)
def test_a_rate_passes_by_itself_and_its_pause_is_bounded(
    content: bytes, headers: dict[str, str], seconds: float | None
) -> None:
    error = request_error(answer(429, content, **headers))
    assert isinstance(error, RateLimitedError)
    assert (error.retry_after, error.status) == (seconds, 429)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 522, 524])
def test_a_server_error_leaves_the_outcome_open(status: int) -> None:
    for read in (request_error, batch_error):
        error = read(answer(status, PAGE))
        assert isinstance(error, UnknownOutcomeError)
        assert error.reason == "server_error"


@pytest.mark.parametrize(
    ("location", "advice"),
    [
        ("https://track-eu.customer.io/api/v2/batch", "CUSTOMERIO_REGION=eu"),
        ("https://track.customer.io/api/v2/batch", "CUSTOMERIO_REGION=us"),
        ("", "us or eu"),
        ("/elsewhere", "us or eu"),
        ("https://login.example.com", "us or eu"),
        ("https://[", "us or eu"),
    ],
)
def test_a_redirect_names_the_region_only_if_it_says_one(location: str, advice: str) -> None:
    error = batch_error(answer(301, location=location))
    assert isinstance(error, WrongRegionError)
    assert advice in error.message


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", PAGE, b'{"errors":[]}', b'{"errors":[{"batch_index":7}]}'])
def test_a_207_that_names_no_item_of_the_batch_accepts_none(content: bytes) -> None:
    with pytest.raises(RejectedError):
        item_errors(answer(207, content), 3)


@pytest.mark.parametrize("status", [200, 202, 204])
def test_2xx_accepts_everything_whatever_the_body(status: int) -> None:
    for content in (b"", b"\xff\xfe", b"{}"):
        assert request_error(answer(status, content)) is None
        assert batch_error(answer(status, content)) is None
        assert list(item_errors(answer(status, content), 2)) == [None, None]
