from hypothesis import example, given
from hypothesis import strategies as st

from shared.jobs import is_ulid, job_ulid, new_ulid

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LATEST_MS = 2**48 - 1
KEYS = st.text() | st.text(alphabet=ALPHABET, min_size=25, max_size=27) | st.characters().map(lambda c: "0" * 25 + c)


def milliseconds(ulid: str) -> int:
    number = 0
    for character in ulid[:10]:
        number = number * 32 + ALPHABET.index(character)
    return number


@given(KEYS, st.none() | st.integers())
@example("\ud800", 0)
@example("\u017f" * 26, None)
@example("0" * 25 + "\u212a", None)
@example("8" + "0" * 25, None)
@example("0" * 26 + "\n", None)
def test_of_any_key_and_time_it_is_a_ulid_and_always_the_same(key: str, at_ms: int | None) -> None:
    ulid = job_ulid(key, at_ms)
    assert len(ulid) == 26
    assert set(ulid) <= set(ALPHABET)
    assert ulid[0] <= "7"
    assert is_ulid(ulid)
    assert job_ulid(key, at_ms) == ulid


@given(st.integers(0, LATEST_MS))
def test_its_time_is_the_one_that_was_given(at_ms: int) -> None:
    assert milliseconds(job_ulid("a key", at_ms)) == at_ms


def test_a_time_that_no_ulid_has_is_the_nearest() -> None:
    assert milliseconds(job_ulid("a key", -1)) == 0
    assert milliseconds(job_ulid("a key", 2**48)) == LATEST_MS


@given(st.integers(0, LATEST_MS), st.integers(0, LATEST_MS))
def test_the_time_alone_makes_another_id(one: int, other: int) -> None:
    assert (job_ulid("a key", one) == job_ulid("a key", other)) is (one == other)


@given(st.sets(st.text(), min_size=2, max_size=50), st.none() | st.integers(0, LATEST_MS))
def test_other_keys_are_other_ids(keys: set[str], at_ms: int | None) -> None:
    named = {key for key in keys if not is_ulid(key)}
    assert len({job_ulid(key, at_ms) for key in named}) == len(named)


@given(st.from_regex(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", fullmatch=True), st.none() | st.integers())
def test_a_ulid_is_its_own(ulid: str, at_ms: int | None) -> None:
    assert job_ulid(ulid, at_ms) == job_ulid(ulid.lower(), at_ms) == ulid


def test_a_known_one() -> None:
    """Read anew after a change of the code, the ids of jobs under way must be what they were."""
    assert job_ulid("order-7", None) == job_ulid("order-7", 1_577_836_800_000) == "01DXF6DT00VY6FG0H7XGS3F4HD"


def test_new_ones_differ_and_are_of_now() -> None:
    ulids = {new_ulid() for _ in range(1000)}
    assert len(ulids) == 1000
    assert all(map(is_ulid, ulids))
    assert max(map(milliseconds, ulids)) - min(map(milliseconds, ulids)) < 60_000
