"""``docs/limits.md`` writes no number of its own: each comes from the code that keeps it."""

import re

import pytest

from docs import limits
from docs.generate import main
from shared import deadlines
from shared.jobs import limits as job_limits
from shared.topology import topology


def test_the_template_has_no_number() -> None:
    text = re.sub(r"\{\w+\}", "", limits.TEMPLATE.read_text())
    # A status is no limit.
    assert re.findall(r"\d+", re.sub(r"\b401\b", "", text)) == []


def test_a_number_on_the_page_is_the_one_that_the_code_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    page = limits.page()
    lane = topology().lanes["main"]
    assert f"| main | track, send, broadcast, events, outcomes | {lane.attempts} | 2 s to 60 s |" in page
    assert f"| recipients of an email: `to`, `cc` and `bcc` together | {job_limits.MAX_EMAIL_RECIPIENTS} |" in page

    monkeypatch.setattr(job_limits, "MAX_EMAIL_RECIPIENTS", 21)
    monkeypatch.setattr(deadlines, "PROBE_MAX_WAIT_SECONDS", 5_400.0)
    assert "together | 21 |" in limits.page()
    assert "| 60 s, 90 minutes |" in limits.page()
    assert main(["--check"]) == 1


def test_a_size_is_written_with_the_unit_that_it_was_chosen_in() -> None:
    page = limits.page()
    assert "or 500 KB." in page
    assert "| the same, as the item that Customer.io gets | 32 KiB |" in page
