"""Going back to earlier code loses no data: tables stay as they are, and a plan that would drop a column is refused."""

import json
import shutil
from typing import Any

import pytest

from tests.terraform.terraform_tool import ROOT, Resource, TerraformError, Workspace

_NEW = {"name": "added_since", "type": "STRING", "mode": "NULLABLE", "description": "A column of the newer version."}


def test_earlier_code_under_newer_tables(dev_workspace: Workspace) -> None:
    """Follows docs/deploy.md, Going back: apply the new, apply the old code; the columns are still there."""
    schema = dev_workspace.directory / "schemas" / "events.json"
    before = schema.read_text()
    earlier = dev_workspace.root / "earlier"
    for name in ("functions", "shared"):
        shutil.copytree(dev_workspace.root / name, earlier / name)
    shutil.copyfile(dev_workspace.root / "requirements.txt", earlier / "requirements.txt")
    (earlier / "functions" / "track" / "main.py").write_text("# track, earlier")
    shutil.rmtree(earlier / "functions" / "sync")  # a function that the earlier version did not have
    schema.write_text(json.dumps([*json.loads(before), _NEW]))
    dev_workspace.apply("dev")

    plan = dev_workspace.plan("dev", "-var=source_root=../earlier")
    applied = dev_workspace.apply("dev", "-var=source_root=../earlier")

    assert _changed(plan) == {"google_cloudfunctions2_function", "google_storage_bucket_object"}
    assert _NEW["name"] in _columns(applied)
    assert any(resource.values.get("name") == "dev-cio-sync" for resource in applied)
    schema.write_text(before)
    shutil.rmtree(earlier)
    dev_workspace.apply("dev")


def test_a_view_is_made_anew_when_its_query_changes_and_described_in_place(dev_workspace: Workspace) -> None:
    """An update in place would lose the descriptions of a view's columns with the old query."""
    query, columns = (dev_workspace.directory / "views" / name for name in ("job_latency.sql", "messages.json"))
    before = query.read_text(), columns.read_text()
    query.write_text(f"{before[0]}ORDER BY hour\n")
    columns.write_text(before[1].replace("Channel: ", "Channel of the message: "))

    plan = dev_workspace.plan("dev")

    actions = {
        change["index"]: change["change"]["actions"]
        for change in plan["resource_changes"]
        if change["type"] == "google_bigquery_table" and change["change"]["actions"] != ["no-op"]
    }
    assert actions == {"job_latency": ["delete", "create"], "messages": ["update"]}
    query.write_text(before[0])
    columns.write_text(before[1])


def _changed(plan: dict[str, Any]) -> set[str]:
    return {
        change["type"]
        for change in plan["resource_changes"]
        if change["mode"] == "managed" and change["change"]["actions"] != ["no-op"]
    }


def _columns(applied: list[Resource]) -> set[str]:
    (events,) = (r for r in applied if r.type == "google_bigquery_table" and r.values["table_id"] == "events")
    return {column["name"] for column in json.loads(events.values["schema"])}


def test_no_column_that_was_released_is_gone() -> None:
    """Removing one from a schema drops it, with all it holds, in every environment that applies it.

    New columns are added to released_columns.json with each release.
    """
    released = json.loads((ROOT / "tests" / "terraform" / "released_columns.json").read_text())
    tables = json.loads((ROOT / "terraform" / "schemas" / "tables.json").read_text())

    for name, columns in released.items():
        schema = json.loads((ROOT / "terraform" / "schemas" / tables[name]["schema"]).read_text())
        now = {column["name"]: column["type"] for column in schema} | {
            f"{column['name']}.{field['name']}": field["type"]
            for column in schema
            for field in column.get("fields", [])
        }
        assert {column: now.get(column) for column in columns} == columns


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_placeholders_are_named(dev_workspace: Workspace, environment: str) -> None:
    """The environments' files as they are in the repository cannot be applied: each line to change is named."""
    settings = ROOT / "terraform" / "environments" / f"{environment}.tfvars"

    with pytest.raises(TerraformError) as refused:
        dev_workspace.run("plan", "-no-color", "-input=false", f"-var-file={settings}")

    said = " ".join(str(refused.value).replace("\u2502", " ").split())
    assert f"environments/{environment}.tfvars" in said
    assert f"project_id has example-customerio-{environment}" in said
    for line in settings.read_text().splitlines():
        for value in line.split('"')[1::2]:
            assert "example." not in value or value in said, value
