"""Both sides of a comparison as text: JSON here, the cells of an export there, whatever forms those have."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from ops.commands.reconcile import people, values
from ops.errors import OperatorError


@pytest.mark.parametrize(
    ("wanted", "cell"),
    [
        (True, "true"),
        (True, "TRUE"),
        (True, "1"),
        (False, "0"),
        (3, "3"),
        (3, "3.0"),
        (3.5, "3.50"),
        (1e15, "1000000000000000"),
        ("007", "007"),
        ("Köln", "Köln"),
        ([1, "a"], '[1, "a"]'),
        ({"b": 1, "a": None}, '{"a":null,"b":1}'),
        (None, ""),
        ("", ""),
        (1_700_000_000, "1700000000"),
        ("[not JSON", "[not JSON"),
    ],
)
def test_the_same_value_is_the_same_text(wanted: Any, cell: str) -> None:
    text, alternate = values.wanted_text("field", wanted)
    assert values.found_texts({"field": cell}, {"field"}).get("field", "") in {text, alternate}


@pytest.mark.parametrize(
    ("wanted", "cell"),
    [(True, "false"), (True, ""), (False, ""), ("007", "7"), ("a", "A"), (3, "4"), ([1, 2], "[2,1]"), (None, "x")],
)
def test_another_value_is_another_text(wanted: Any, cell: str) -> None:
    text, alternate = values.wanted_text("field", wanted)
    assert values.found_texts({"field": cell}, {"field"}).get("field", "") not in {text, alternate}


@pytest.mark.parametrize(("cell", "out"), [("true", True), ("TRUE", True), ("1", True), ("", False), ("no", False)])
def test_unsubscribed_is_read_as_customerio_reads_it(cell: str, out: bool) -> None:
    found = values.found_texts({"unsubscribed": cell}, {"unsubscribed"})["unsubscribed"]
    assert found == values.wanted_text("unsubscribed", out)[0]


def test_case_of_addresses_does_not_matter() -> None:
    assert values.found_texts({"email": "Ada@Example.com"}, {"email"}) == {"email": "ada@example.com"}
    assert values.wanted_text("email", "ADA@example.com")[0] == "ada@example.com"


@pytest.mark.parametrize("cell", ["", "{", "[]", '{"topics": null}', '{"channels": {"email": true}}'])
def test_topics_that_are_not_set_are_empty(cell: str) -> None:
    name = "cio_subscription_preferences.topics.topic_1"
    assert values.found_texts({"cio_subscription_preferences": cell}, {name}) == {}
    set_one = {"cio_subscription_preferences": '{"topics": {"topic_1": false, "topic_2": true}}'}
    assert values.found_texts(set_one, {name}) == {name: "false"}


def test_columns_are_read_by_name_and_kept_as_they_came(tmp_path: Path) -> None:
    export = tmp_path / "export.csv"
    with export.open("w", encoding="utf-8-sig", newline="") as file:
        rows = [["New", "cio_id", "plan", "id", "email"], ["?", "c1", "pro", "1", "A@example.com"], [], ["", "c2"]]
        csv.writer(file).writerows(rows)
    read = people.write(export, {"plan", "city"}, tmp_path / "people", tmp_path / "found")
    assert read == people.People(2, ["city", "unsubscribed"])
    first, second = (json.loads(line) for line in (tmp_path / "people").read_text().splitlines())
    assert json.loads(first.pop("raw"))["New"] == "?"
    assert first == {"person": 1, "id": "1", "email": "a@example.com", "cio_id": "c1"}
    assert (second["person"], second["id"], second["cio_id"]) == (2, None, "c2")
    assert json.loads((tmp_path / "found").read_text()) == {"person": 1, "name": "plan", "value": "pro"}


def test_an_export_without_ids_is_refused(tmp_path: Path) -> None:
    export = tmp_path / "export.csv"
    export.write_text("email\na@example.com\n")
    with pytest.raises(OperatorError, match="no column id"):
        people.write(export, set(), tmp_path / "people", tmp_path / "found")
