"""Every IAM grant says who may do what, and why, on the lines above it."""

import re

import pytest

from tests.terraform.terraform_tool import ROOT

_GRANT = re.compile(r'^((?:#.*\n)*)resource "(google_\w+_iam_(?:member|binding))" "(\w+)"', re.MULTILINE)
_GRANTS = [
    pytest.param(match[1], id=f"{path.parent.name}-{match[2]}-{match[3]}")
    for path in sorted((ROOT / "terraform").rglob("*.tf"))
    for match in _GRANT.finditer(path.read_text())
]


@pytest.mark.parametrize("comment", _GRANTS)
def test_a_grant_says_who_may_do_what(comment: str) -> None:
    assert re.search(r"\bmay\b", comment), "a comment directly above, such as: # The webhook may publish events: ..."
