"""The result of one check."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report.

    Args:
        check: The thing that was checked.
        verdict: ``skipped`` if it cannot be checked from here.
        text: What was found and, after a failure, what to do. Never a key.
    """

    check: str
    verdict: Literal["ok", "failed", "skipped"]
    text: str


def ok(check: str, text: str) -> Finding:
    return Finding(check, "ok", text)


def failed(check: str, text: str) -> Finding:
    return Finding(check, "failed", text)


def skipped(check: str, text: str) -> Finding:
    return Finding(check, "skipped", text)
