"""Generates ``docs/jobs.md`` and ``docs/schemas/*.json`` from the types in ``shared.jobs``, and ``docs/limits.md``.

With ``--check`` it writes nothing and names the files that are out of date.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from docs import limits
from docs.examples import EXAMPLES, Example
from shared.attributes import JobAttributes
from shared.consent import Consent
from shared.jobs import SCHEMAS, parse, subjects
from shared.jobs.send import SEND_FORMS
from shared.topology import topology

_DOCS = Path(__file__).parent
_REFERENCE = "#/$defs/{name}"
_CHANNEL_OF = {form.__name__: channel for channel, form in SEND_FORMS.items()}
# A form's own fields do not tell the channels apart.
_CHOICE = "The attribute `channel` says which form a message has; without one it is an email."

type Schema = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with ``--check`` name those that are out of date."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    check = parser.parse_args(arguments).check
    stale = {path: text for path, text in pages(_DOCS).items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items():
        if check:
            print(f"out of date: {path.relative_to(_DOCS.parent)}; run make docs", file=sys.stderr)
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    return 1 if check and stale else 0


def pages(folder: Path) -> dict[Path, str]:
    """Every generated file below ``folder`` and its text."""
    introduction = Path(__file__).with_name("jobs.introduction.md").read_text()
    made = {folder / "schemas" / f"{kind}.json": _text_of(schema(kind)) for kind in SCHEMAS}
    made[folder / "schemas" / "consent.json"] = _text_of(consent_schema())
    made[folder / "limits.md"] = limits.page()
    made[folder / "jobs.md"] = "\n\n".join([introduction.rstrip(), *(_section(kind) for kind in SCHEMAS)]) + "\n"
    return made


def schema(kind: str) -> Schema:
    """JSON Schema of the messages of one kind: any of its forms."""
    references, components = msgspec.json.schema_components(SCHEMAS[kind], ref_template=_REFERENCE)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"data of a message on {topology().topics[kind].name}",
        **({"description": _CHOICE} if kind == "send" else {}),
        "anyOf": list(references),
        "$defs": components,
    }


def consent_schema() -> Schema:
    """JSON Schema of a change of consent, which functions publish and applications read."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"data of a message on {topology().consumer_topics['consent']}",
        **msgspec.json.schema(Consent),
    }


def _text_of(schema: Schema) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _section(kind: str) -> str:
    whole = schema(kind)
    parts = [
        f"## {kind}: topic `{topology().topics[kind].name}`",
        f"JSON Schema: [schemas/{kind}.json](schemas/{kind}.json), each form below `$defs`.",
        *([_CHOICE] if kind == "send" else []),
    ]
    for form in SCHEMAS[kind]:
        examples = [example for example in EXAMPLES[kind] if example.form == form.__name__]
        parts += _form(kind, whole, form.__name__, examples)
    return "\n\n".join(parts)


def _form(kind: str, whole: Schema, name: str, examples: Sequence[Example]) -> list[str]:
    described = whole["$defs"][name]
    channel = f": channel `{_CHANNEL_OF[name]}`" if name in _CHANNEL_OF else ""
    table = [
        "| field | type | required | |",
        "| --- | --- | --- | --- |",
        *(f"| `{field}` | {type_} | {need} | {what} |" for field, type_, need, what in _fields(whole, described)),
    ]
    parts = [f"### {name}{channel}", described["description"], "\n".join(table)]
    for example in examples:
        parts += [f"{example.what}:"] if example.what else []
        parts += [f"```python\n{example.python}\n```", f"```sh\n{_command(kind, example)}\n```"]
    return parts


def _command(kind: str, example: Example) -> str:
    data = json.dumps(example.body, ensure_ascii=False)
    job = topology().topics[kind]
    subject = subjects(parse(kind, data.encode(), JobAttributes.decode(example.attributes)))
    key = [f"--ordering-key={shlex.quote(subject[0])}"] if job.ordered else []
    attributes = [f"--attribute={name}={value}" for name, value in example.attributes.items()]
    first = " ".join(["gcloud pubsub topics publish", job.name, *key, *attributes])
    return f"{first} \\\n  --message={shlex.quote(data)}"


def _fields(whole: Schema, described: Schema, prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Name, type, whether it is required, and description of each field, those of inner objects below theirs."""
    for name, field in described["properties"].items():
        inner, many = _struct(whole, field)
        yield prefix + name, _type(field), "yes" if name in described["required"] else "", _what(field, inner)
        if inner is not None:
            yield from _fields(whole, inner, f"{prefix}{name}{'[]' if many else ''}.")


def _struct(whole: Schema, field: Schema) -> tuple[Schema | None, bool]:
    """The struct that a field holds, and whether it holds many."""
    for option in _options(field):
        for holder, many in ((option, False), (option.get("items", {}), True)):
            if "$ref" in holder:
                return whole["$defs"][holder["$ref"].rsplit("/", 1)[1]], many
    return None, False


def _type(field: Schema) -> str:
    names = [name for option in _options(field) for name in _names(option)]
    return " or ".join(name for name in dict.fromkeys(names) if name != "null")


def _names(option: Schema) -> list[str]:
    if "enum" in option:
        return [f"`{value}`" for value in option["enum"]]
    if "const" in option:
        return [f"`{option['const']}`"]
    if "$ref" in option:
        return ["object"]
    if option.get("items"):
        return [f"array of {_type(option['items'])}"]
    return [option.get("type", "any")]


def _what(field: Schema, inner: Schema | None) -> str:
    texts = [option["description"] for option in _nested(field) if "description" in option]
    if not texts and inner is not None:
        texts = [inner["description"]]
    if (default := field.get("default")) is not None:
        texts.append(f"default `{default if isinstance(default, str) else json.dumps(default)}`")
    return "; ".join(dict.fromkeys(texts))


def _nested(field: Schema) -> Iterator[Schema]:
    """A field and its alternatives, outermost first."""
    yield field
    for option in field.get("anyOf", ()):
        yield from _nested(option)


def _options(field: Schema) -> list[Schema]:
    """The alternatives of a field, flat."""
    return [each for each in _nested(field) if "anyOf" not in each]


if __name__ == "__main__":
    sys.exit(main())
