"""The tables of inputs and outputs in each module's README, written from its variables.tf and outputs.tf.

``python -m tests.terraform.readme_tables`` writes them anew; a test holds them current.
"""

import re
from pathlib import Path
from typing import NamedTuple

from tests.terraform.terraform_tool import ROOT

START = "<!-- inputs and outputs: written by python -m tests.terraform.readme_tables -->"
END = "<!-- end of inputs and outputs -->"
MODULES = (ROOT / "terraform", *sorted(path.parent for path in (ROOT / "terraform" / "modules").glob("*/variables.tf")))

# Blocks of `terraform fmt`: they begin at the margin and end with a brace there.
_BLOCK = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
_HEREDOC = re.compile(r"description\s+= <<-EOT\n(.*?)\n\s+EOT", re.DOTALL)
_TEXT = re.compile(r'description\s+= "((?:[^"\\]|\\.)*)"')
_TYPE = re.compile(r"^  type\s+= (\w+)", re.MULTILINE)
_DEFAULT = re.compile(r"^  default\s+= (.*)$", re.MULTILINE)


class Row(NamedTuple):
    name: str
    type: str
    default: str
    description: str


def table(module: Path) -> str:
    """Inputs and outputs of the module in this folder, as Markdown between two markers."""
    inputs = "\n".join(
        f"| `{row.name}` | {row.type} | {row.default} | {row.description} |" for row in _rows(module / "variables.tf")
    )
    outputs = "\n".join(f"| `{row.name}` | {row.description} |" for row in _rows(module / "outputs.tf"))
    return (
        f"{START}\n\n| input | type | default | |\n| --- | --- | --- | --- |\n{inputs}\n\n"
        f"| output | |\n| --- | --- |\n{outputs}\n\n{END}"
    )


def with_table(readme: str, module: Path) -> str:
    """The README with its tables as they should be; appended where it has none yet."""
    if START not in readme:
        return f"{readme.rstrip()}\n\n## Inputs and outputs\n\n{table(module)}\n"
    before, _, rest = readme.partition(START)
    return before + table(module) + rest.partition(END)[2]


def _rows(file: Path) -> list[Row]:
    return [_row(name, body) for _, name, body in _BLOCK.findall(file.read_text())]


def _row(name: str, body: str) -> Row:
    type_ = _TYPE.search(body)
    default = _DEFAULT.search(body)
    shown = (
        f"`{default[1]}`" if default and default[1][-1] not in "{[" else "see variables.tf" if default else "required"
    )
    return Row(name, type_[1] if type_ else "", shown, _description(body))


def _description(body: str) -> str:
    if heredoc := _HEREDOC.search(body):
        text = " ".join(heredoc[1].split())
    else:
        quoted = _TEXT.search(body)
        assert quoted, body
        text = quoted[1].replace('\\"', '"')
    return text.replace("|", "\\|").replace("$${", "${")


if __name__ == "__main__":
    for folder in MODULES:
        path = folder / "README.md"
        path.write_text(with_table(path.read_text(), folder))
