"""``docs/jobs.md`` and the JSON Schemas say what the types in ``shared.jobs`` say."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from docs import generate
from docs.examples import EXAMPLES
from shared.jobs import CHANNELS, SCHEMAS
from tests.docs.markdown import ROOT

JOBS = (ROOT / "docs/jobs.md").read_text()
FORMS = [(kind, form) for kind, forms in SCHEMAS.items() for form in forms]
NAMES = [form.__name__ for _, form in FORMS]


def section(form: str) -> str:
    found = re.search(rf"^### {form}\b.*?(?=^##|\Z)", JOBS, re.MULTILINE | re.DOTALL)
    assert found, f"no section for {form}"
    return found.group()


def test_the_generated_files_are_up_to_date() -> None:
    assert generate.main(["--check"]) == 0, "run make docs"


def test_the_check_names_what_is_out_of_date_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "_DOCS", tmp_path / "docs")
    (tmp_path / "docs").mkdir()
    assert generate.main(["--check"]) == 1
    assert list((tmp_path / "docs").iterdir()) == []

    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    capsys.readouterr()

    (tmp_path / "docs/schemas/track.json").write_text("{}\n")
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().err == "out of date: docs/schemas/track.json; run make docs\n"
    assert (tmp_path / "docs/schemas/track.json").read_text() == "{}\n"


def test_there_is_a_schema_of_each_kind_and_no_other() -> None:
    assert sorted(path.name for path in (ROOT / "docs/schemas").iterdir()) == sorted(
        f"{name}.json" for name in [*SCHEMAS, "consent"]
    )


@pytest.mark.parametrize(("kind", "form"), FORMS, ids=NAMES)
def test_every_field_is_described_with_whether_it_is_required(kind: str, form: type[msgspec.Struct]) -> None:
    schema: dict[str, Any] = json.loads((ROOT / f"docs/schemas/{kind}.json").read_text())
    rows = dict(re.findall(r"^\| `([\w.\[\]]+)` \| .+? \| (yes|) \| .*\|$", section(form.__name__), re.MULTILINE))
    for field in msgspec.structs.fields(form):
        assert (rows[field.encode_name] == "yes") is field.required, field.encode_name
    described = schema["$defs"][form.__name__]
    assert {"$ref": f"#/$defs/{form.__name__}"} in schema["anyOf"]
    assert described["properties"].keys() == {name for name in rows if "." not in name}
    assert {name for name, need in rows.items() if need and "." not in name} == set(described["required"])


def test_fields_of_inner_objects_are_described_below_theirs() -> None:
    assert "| `cio_relationships[].identifiers.object_id` | string or integer |  | at most 150" in section(
        "AddRelationships"
    )
    assert "| `preferences.marketing` | boolean |  | default `true` |" in section("User")


@pytest.mark.parametrize(("kind", "form"), FORMS, ids=NAMES)
def test_every_form_has_an_example_in_both_languages(kind: str, form: type[msgspec.Struct]) -> None:
    examples = [example for example in EXAMPLES[kind] if example.form == form.__name__]
    assert examples
    assert section(form.__name__).count("```python\n") == len(examples)
    assert section(form.__name__).count("gcloud pubsub topics publish") == len(examples)
    assert len(examples) == 1 or all(example.what for example in examples)


def test_no_example_is_of_a_form_that_is_gone() -> None:
    assert {kind: {example.form for example in examples} for kind, examples in EXAMPLES.items()} == {
        kind: {form.__name__ for form in forms} for kind, forms in SCHEMAS.items()
    }


def test_every_channel_is_in_the_table_of_attributes() -> None:
    (row,) = re.findall(r"^\| `channel` \| (.*) \|$", JOBS, re.MULTILINE)
    assert re.findall(r"`(\w+)`", row) == list(CHANNELS)
