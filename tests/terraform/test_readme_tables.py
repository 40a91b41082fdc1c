from pathlib import Path

import pytest

from tests.terraform.readme_tables import MODULES, with_table


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_a_readme_lists_inputs_and_outputs(module: Path) -> None:
    """Write them anew with ``python -m tests.terraform.readme_tables``."""
    readme = (module / "README.md").read_text()

    assert readme == with_table(readme, module)
