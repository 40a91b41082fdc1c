"""Views leave BigQuery free to read only the days that a query asks for."""

import json
import re
from pathlib import Path

import pytest

from tests.terraform.terraform_tool import ROOT

_VIEWS = sorted((ROOT / "terraform" / "views").glob("*.sql"))
_PARTITION_FIELDS = {
    table["partition_field"]
    for table in json.loads((ROOT / "terraform" / "schemas" / "tables.json").read_text()).values()
}


@pytest.mark.parametrize("view", _VIEWS, ids=lambda path: path.stem)
def test_a_window_over_a_table_names_its_partitions(view: Path) -> None:
    """A filter passes below a window only on the columns that the window is partitioned by."""
    text = view.read_text()
    windows = re.findall(r"OVER \(PARTITION BY (.*?) ORDER", text)

    assert text.count("OVER (") == len(windows)
    assert [window for window in windows if not _PARTITION_FIELDS & set(window.split(", "))] == []
