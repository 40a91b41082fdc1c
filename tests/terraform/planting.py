"""Faults, as they are planted in what was applied."""

import copy
from collections.abc import Callable

from tests.terraform.applied import Applied, Values
from tests.terraform.order import last_two
from tests.terraform.terraform_tool import Resource

type Fault = Callable[[list[Resource]], None]


def planted(applied: Applied, fault: Fault) -> Applied:
    """Return what was applied, with the fault in it."""
    resources = copy.deepcopy(applied.resources)
    fault(resources)
    return Applied(resources)


def without(address: str) -> Fault:
    def fault(resources: list[Resource]) -> None:
        del resources[_index(resources, address)]

    return fault


def changed(address: str, change: Callable[[Values], None]) -> Fault:
    def fault(resources: list[Resource]) -> None:
        change(resources[_index(resources, address)].values)

    return fault


def added(kind: str, **values: object) -> Fault:
    def fault(resources: list[Resource]) -> None:
        resources.append(Resource(f"{kind}.planted", kind, {"condition": [], **values}))

    return fault


def _index(resources: list[Resource], address: str) -> int:
    (index,) = (i for i, resource in enumerate(resources) if resource.address == address)
    return index


def setting(**changes: object) -> Callable[[Values], None]:
    return lambda values: values.update(changes)


def serving(**changes: object) -> Callable[[Values], None]:
    return lambda values: values["service_config"][0].update(changes)


def untold(variable: str) -> Callable[[Values], None]:
    """Take a variable away from a function."""

    def change(values: Values) -> None:
        values["service_config"][0]["environment_variables"].pop(variable)

    return change


def token(**changes: object) -> Callable[[Values], None]:
    return lambda values: values["push_config"][0]["oidc_token"][0].update(changes)


def condition(**changes: object) -> Callable[[Values], None]:
    """Change the first condition of an alert."""
    return lambda values: values["conditions"][0]["condition_threshold"][0].update(changes)


def unordered(user: str, needed: str) -> Fault:
    """Take away every reference of ``user`` that leads to ``needed``: it may then be made first.

    Both are the last two parts of an address. What the user reaches by other things goes too.
    """

    def fault(resources: list[Resource]) -> None:
        leading = {needed}
        for resource in resources:
            if any(last_two(other) == needed for other in resource.needs):
                leading.add(last_two(resource.address))
        for resource in resources:
            if last_two(resource.address) == user:
                resource.needs[:] = [other for other in resource.needs if last_two(other) not in leading]

    return fault
