"""Writes ``docs/jobs.md`` and ``docs/schemas/*.json`` from the types in ``shared.jobs``.

With ``--check`` it only says what is out of date.
"""

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from docs.examples import EXAMPLES, Example
from shared.jobs import SCHEMAS
from shared.topology import topology

_DOCS = Path(__file__).parent
_INTRODUCTION = (_DOCS / "jobs.introduction.md").read_text()
_REFERENCE = "#/$defs/{name}"

type Schema = dict[str, Any]


def main() -> int:
    """Write the files, or with ``--check`` name those that are out of date."""
    stale = [path for path, text in pages().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"out of date: {path.relative_to(_DOCS.parent)}; run make docs", file=sys.stderr)
        return 1 if stale else 0
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return 0


def pages() -> dict[Path, str]:
    """Every generated file and its text."""
    made = {_DOCS / "schemas" / f"{kind}.json": _schema_text(kind) for kind in SCHEMAS}
    made[_DOCS / "jobs.md"] = "\n".join([_INTRODUCTION.rstrip(), *(_section(kind) for kind in SCHEMAS)])
    return made


def schema(kind: str) -> Schema:
    """JSON Schema of the messages of one kind: any of its forms."""
    references, components = msgspec.json.schema_components(SCHEMAS[kind], ref_template=_REFERENCE)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"data of a message on {topology().jobs[kind].topic}",
        "anyOf": list(references),
        "$defs": components,
    }


def _schema_text(kind: str) -> str:
    return json.dumps(schema(kind), indent=2, ensure_ascii=False) + "\n"


def _section(kind: str) -> str:
    whole = schema(kind)
    lines = [f"\n## {kind}: topic `{topology().jobs[kind].topic}`\n"]
    for form, example in zip(SCHEMAS[kind], EXAMPLES[kind], strict=True):
        lines += _form(whole, form, example, topology().jobs[kind].topic)
    return "\n".join(lines)


def _form(whole: Schema, form: type[msgspec.Struct], example: Example, topic: str) -> list[str]:
    name = form.__name__
    described = whole["$defs"][name]
    rows = [f"| `{field}` | {kind} | {need} | {what} |" for field, kind, need, what in _fields(whole, described)]
    attributes = [f"--attribute {name}={value}" for name, value in example.attributes.items()]
    message = shlex.quote(json.dumps(example.body, ensure_ascii=False))
    command = " ".join(["gcloud pubsub topics publish", topic, *attributes, f"--message {message}"])
    return [
        f"### {name}\n",
        f"{described.get('description', '')}\n",
        "| field | type | | |",
        "| --- | --- | --- | --- |",
        *rows,
        f"\n```python\n{example.python}\n```\n",
        f"```\n{command}\n```\n",
    ]


def _fields(whole: Schema, described: Schema, prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    required = set(described.get("required", ()))
    for name, field in described.get("properties", {}).items():
        inner, many = _struct(whole, field)
        need = "required" if name in required else ""
        yield prefix + name, _type(field), need, _what(field, inner)
        if inner is not None:
            yield from _fields(whole, inner, f"{prefix}{name}{'[]' if many else ''}.")


def _struct(whole: Schema, field: Schema) -> tuple[Schema | None, bool]:
    """The struct that a field holds, and whether it holds many."""
    for option in _options(field):
        if reference := option.get("$ref"):
            return whole["$defs"][reference.rsplit("/", 1)[1]], False
        if reference := option.get("items", {}).get("$ref"):
            return whole["$defs"][reference.rsplit("/", 1)[1]], True
    return None, False


def _type(field: Schema) -> str:
    names = []
    for option in _options(field):
        if "enum" in option or "const" in option:
            names += [f"`{value}`" for value in option.get("enum", [option.get("const")])]
        elif "$ref" in option:
            names.append("object")
        elif "type" in option:
            names.append(option["type"])
        else:
            names.append("any")
    return " or ".join(name for name in dict.fromkeys(names) if name != "null")


def _what(field: Schema, inner: Schema | None) -> str:
    nested = [field, *field.get("anyOf", ()), *_options(field)]
    texts = [option["description"] for option in nested if "description" in option]
    if not texts and inner is not None:
        texts = [inner.get("description", "")]
    default = field.get("default")
    told = "" if default is None or default == {} else f"default `{default}`"
    return "; ".join(dict.fromkeys(text for text in [*texts, told] if text))


def _options(field: Schema) -> list[Schema]:
    """The alternatives of a field, flat."""
    if "anyOf" not in field:
        return [field]
    return [inner for option in field["anyOf"] for inner in _options(option)]


if __name__ == "__main__":
    sys.exit(main())
