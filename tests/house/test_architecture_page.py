"""The picture in docs/architecture.md is what the modules import."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.house.source_tree import ROOT, imports, modules, plant

PAGE = ROOT / "docs" / "architecture.md"
OUTSIDE = ("functions", "ops", "local", "bench")

_NODE = re.compile(r'(\w+)\["([^"]+)"\]')
_ARROW = re.compile(r"^(\w+) --> (.+)$")


@dataclass(frozen=True, slots=True)
class Picture:
    """A Mermaid flowchart.

    Args:
        boxes: Names on each box, by the box's identifier.
        arrows: Pairs of identifiers.
    """

    boxes: dict[str, list[str]]
    arrows: set[tuple[str, str]]

    @classmethod
    def read(cls, page: str) -> "Picture":
        [text] = re.findall(r"^```mermaid\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        boxes = {name: label.split(" · ") for name, label in _NODE.findall(text)}
        lines = (_NODE.sub(r"\1", line.strip()) for line in text.splitlines())
        found = (arrow for line in lines if (arrow := _ARROW.match(line)))
        return cls(boxes, {(arrow[1], target) for arrow in found for target in arrow[2].split(" & ")})


def differences(picture: Picture, root: Path) -> list[str]:
    """Sentences about what the picture and the imports say differently; empty when they agree."""
    box_of = {name: box for box, names in picture.boxes.items() for name in names}
    listed = [name for names in picture.boxes.values() for name in names]
    found = modules(root)
    units = {module.unit for module in found.values() if module.room == "shared"} - {""}
    drawn = set(listed) - set(OUTSIDE)
    used = _used(root, box_of)
    return [
        *(f"{name} stands in two boxes" for name in sorted({name for name in listed if listed.count(name) > 1})),
        *(f"shared/{name} stands in no box" for name in sorted(units - drawn)),
        *(f"{name} stands in a box, and is not in shared/" for name in sorted(drawn - units)),
        *(f"draw {here} --> {there}" for here, there in sorted(used - picture.arrows)),
        *(f"no import goes {here} --> {there}" for here, there in sorted(picture.arrows - used)),
    ]


def _used(root: Path, box_of: dict[str, str]) -> set[tuple[str, str]]:
    return {pair for pair in _pairs(root, box_of) if pair[0] != pair[1]}


def _pairs(root: Path, box_of: dict[str, str]) -> Iterator[tuple[str, str]]:
    found = modules(root)
    for name, others in imports(found).items():
        for other in (found[each] for each in others):
            here = found[name]
            if here.room == "shared":
                if here.unit:  # shared/__init__.py only passes names on
                    yield box_of.get(here.unit, here.unit), box_of.get(other.unit, other.unit)
            elif here.room == "functions" and other.room == "shared":
                yield here.room, box_of.get(other.unit, other.unit)
            else:  # to all of the other room, as its frame or its one box
                yield here.room, other.room


def test_the_picture_shows_the_imports() -> None:
    found = differences(Picture.read(PAGE.read_text()), ROOT)
    assert not found, "\n".join(found)


def test_no_arrow_leads_back() -> None:
    picture = Picture.read(PAGE.read_text())
    reached = set(picture.arrows)
    while further := {(a, d) for a, b in reached for c, d in reached if b == c} - reached:
        reached |= further
    assert [box for box in picture.boxes if (box, box) in reached] == []


TREE = {"shared__a": "from . import b", "shared__b": "", "shared__c": "", "ops__x": "from shared import a"}
HONEST = ['a["a"]', 'rest["b · c"]', 'ops["ops"]', "a --> rest", "ops --> shared"]


@pytest.mark.parametrize(
    ("lines", "difference"),
    [
        (HONEST, None),
        ([*HONEST, "rest --> a"], "no import goes rest --> a"),
        ([line for line in HONEST if line != "a --> rest"], "draw a --> rest"),
        ([line for line in HONEST if line != "ops --> shared"], "draw ops --> shared"),
        ([line.replace("b · c", "b") for line in HONEST], "shared/c stands in no box"),
        ([line.replace("b · c", "b · c · d") for line in HONEST], "d stands in a box, and is not in shared/"),
        ([line.replace("b · c", "a · b · c") for line in HONEST], "a stands in two boxes"),
    ],
)
def test_a_wrong_picture_is_found(lines: list[str], difference: str | None, tmp_path: Path) -> None:
    page = "\n".join(["```mermaid", "flowchart TD", *lines, "```", ""])
    found = differences(Picture.read(page), plant(tmp_path, **TREE))
    assert difference in found if difference else found == []
