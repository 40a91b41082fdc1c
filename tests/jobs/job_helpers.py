"""What the tests of jobs share."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from shared.jobs import InvalidJob

NOW = 1_777_636_800


def encoded(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def refusal(parse: Callable[[bytes], Any], body: object) -> tuple[str, str]:
    """Field and problem of the refusal that ``body``, as JSON unless it is bytes, meets with."""
    with pytest.raises(InvalidJob) as caught:
        parse(body if isinstance(body, bytes) else encoded(body))
    assert str(caught.value) == f"{caught.value.field}: {caught.value.problem}"
    return caught.value.field, caught.value.problem


def padded(body: dict[str, Any], size: int, field: str) -> bytes:
    """``body`` with texts below ``field`` so that its JSON, written compactly, has exactly ``size`` bytes."""

    def compact() -> bytes:
        return json.dumps(body, separators=(",", ":")).encode()

    number = 0
    while (missing := size - len(compact())) > 0:
        name = f"filler{number:02}"
        frame = len(f',"{name}":""')
        body[field][name] = "x" * max(0, min(900, missing - frame))
        if 0 < missing - frame - 900 < frame:
            body[field][name] = "x" * (900 - frame)
        number += 1
    assert len(compact()) == size
    return compact()
