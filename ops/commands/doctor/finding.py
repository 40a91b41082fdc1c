"""What one check found."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's.

    Args:
        check: what was looked at.
        verdict: ``skipped`` where it could not be looked at from here.
        text: what is so, or what to do. Never a key.
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
