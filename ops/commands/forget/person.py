"""Somebody who is to be forgotten, at Customer.io: the identifiers, then suppressed, deleted and seen to be gone."""

import hashlib
from dataclasses import dataclass

import httpx

from ops import deadlines
from ops.app_api import AppAPI
from ops.commands.doctor.keys import read_keys
from ops.errors import OperatorError, UnreachableError
from ops.target import Target
from shared.jobs.operation import person_key
from shared.ledger.protocol import hashed
from shared.settings import CustomerIOHosts, SettingsError

_IDENTIFIERS = ("id", "email", "cio_id", "phone")


@dataclass(frozen=True, slots=True)
class Person:
    """A person and their keys.

    Args:
        name: Kind of the identifier that was given, e.g. ``id``.
        value: The identifier.
        identifiers: All identifiers that are known, by kind.
    """

    name: str
    value: str
    identifiers: dict[str, str]

    @property
    def keys(self) -> list[str]:
        """Keys of the person; the id's comes first, where one is known."""
        return [person_key(name, self.identifiers[name]) for name in _IDENTIFIERS if name in self.identifiers]


def find_person(app_api: AppAPI, name: str, value: str) -> Person:
    """Learn from Customer.io by which identifiers somebody is known; one that it does not know has the given one."""
    customer = app_api.person(name, value)
    known = {**(customer.get("attributes") or {}), **(customer.get("identifiers") or {})}
    identifiers = {kind: str(known[kind]) for kind in _IDENTIFIERS if known.get(kind)}
    return Person(name, value, identifiers | {name: value})


class TrackAPI:
    """The two operations that forget somebody, sent one at a time.

    Args:
        target: Names the host and the credentials.

    Raises:
        OperatorError: if the region or a credential is not known.
    """

    def __init__(self, target: Target) -> None:
        try:
            self._url = CustomerIOHosts.from_environment(target.environment).track_url
        except SettingsError as error:
            raise OperatorError(f"{error}; or give --region.") from None
        keys, _ = read_keys(target)
        try:
            self._site_id = keys["CUSTOMERIO_SITE_ID"][0]
            self._key = keys["CUSTOMERIO_TRACK_API_KEY"][0]
        except KeyError as missing:
            raise OperatorError(f"{missing.args[0]} is not known: set it, or have its secret granted to you.") from None

    def state_key(self, person: Person) -> str:
        """Hashed key under which sync keeps its state of the person; empty for somebody without an id."""
        if "id" not in person.identifiers:
            return ""
        workspace = hashlib.sha256(f"{self._url}\0{self._site_id}".encode()).hexdigest()
        return hashed(f"{workspace}\0{person_key('id', person.identifiers['id'])}")

    def forget(self, person: Person) -> None:
        """Suppress, then delete. In this order: a late identify must not bring back who was deleted.

        Raises:
            OperatorError: if Customer.io refuses, or does not answer.
        """
        for action in ("suppress", "delete"):
            self._apply({"type": "person", "action": action, "identifiers": {person.name: person.value}})

    def _apply(self, item: dict[str, object]) -> None:
        try:
            answer = httpx.post(
                f"{self._url}/api/v2/batch",
                json={"batch": [item]},
                auth=(self._site_id, self._key),
                timeout=deadlines.APP_API_SECONDS,
                trust_env=False,
            )
        except httpx.HTTPError as error:
            raise UnreachableError(
                f"{httpx.URL(self._url).host} does not answer ({type(error).__name__}): run the command again."
            ) from None
        if answer.status_code != 200:
            raise OperatorError(
                f"{httpx.URL(self._url).host} answers {answer.status_code} to {item['action']}: "
                "check the credentials with `python -m ops doctor`, then run the command again."
            )
