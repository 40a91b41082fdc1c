"""Options that several commands share, declared once as a dataclass."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any, get_type_hints


def with_option_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Expand each parameter whose type is a dataclass into one option per field.

    Typer reads a function's signature. The returned function shows it the fields, and gives ``command`` the dataclass.

    Args:
        command: A Typer command; fields of its dataclasses are annotated like parameters of a command.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {
        name: p.annotation for name, p in signature.parameters.items() if dataclasses.is_dataclass(p.annotation)
    }
    parameters: list[Parameter] = []
    for name, parameter in signature.parameters.items():
        parameters += _fields(groups[name]) if name in groups else [parameter]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in dataclasses.fields(group)})
        command(**given)

    shown = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in parameters]
    run.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return run


def _fields(group: Any) -> list[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name])
        for field in dataclasses.fields(group)
    ]
