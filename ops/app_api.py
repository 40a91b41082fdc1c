"""Customer.io's App API, read side: exports, messages, and which people exist.

Reads are repeated: an answer of 429 or 5xx, or none at all, is waited out. https://docs.customer.io/integrations/api/app/
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self
from urllib.parse import quote

import httpx
import typer

from ops import clients, deadlines
from ops.errors import OperatorError, UnreachableError
from ops.target import Target
from shared.settings import CustomerIOHosts, SettingsError

MAX_LOOKUPS = 100
_MAX_PAGE = 1000
_EVERYBODY = {"attribute": {"field": "cio_id", "operator": "exists"}}


@dataclass(frozen=True, slots=True)
class Account:
    """The option that names Customer.io's region where no variable does."""

    region: Annotated[
        str | None, typer.Option("--region", help="Region of the workspace, us or eu.  [default: CUSTOMERIO_REGION]")
    ] = None

    def on(self, target: Target) -> Target:
        named = {} if self.region is None else {"CUSTOMERIO_REGION": self.region}
        return replace(target, environment={**target.environment, **named})


class AppAPI:
    """A client of the App API.

    Args:
        target: Names the host and the key: ``CUSTOMERIO_APP_API_KEY``, otherwise the newest version in Secret Manager.

    Raises:
        OperatorError: if the region or the key is not known.
    """

    def __init__(self, target: Target) -> None:
        try:
            hosts = CustomerIOHosts.from_environment(target.environment)
        except SettingsError as error:
            raise OperatorError(f"{error}; or give --region.") from None
        self._client = httpx.Client(
            base_url=hosts.app_url,
            headers={"Authorization": f"Bearer {_key(target)}"},
            timeout=deadlines.APP_API_SECONDS,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def export_people(self, attributes: Sequence[str], to: Path) -> int:
        """Ask for an export of everybody, wait for it, and download it.

        Args:
            attributes: Names of the attributes that are wanted as columns.
            to: File for the CSV; it is replaced.

        Returns:
            The export's id.
        """
        asked = self._call("POST", "/v1/exports/customers", {"filters": _EVERYBODY, "attributes": [*attributes]})
        export_id = int(asked["export"]["id"])
        self._wait(export_id)
        self._download(export_id, to)
        return export_id

    def existing(self, id_type: str, values: Sequence[str]) -> set[str]:
        """Find which of the people exist.

        Args:
            id_type: ``id`` or ``cio_id``.
            values: At most ``MAX_LOOKUPS`` identifiers of that type.
        """
        body = {"ids": [*values]}
        found = self._call("POST", f"/v1/customers/attributes?id_type={id_type}", body).get("customers") or []
        return {str(each["customer"]["identifiers"][id_type]) for each in found}

    def person(self, id_type: str, value: str) -> dict[str, Any]:
        """Read a person's identifiers and attributes; empty if Customer.io knows nobody of that name.

        Args:
            id_type: ``id``, ``email``, ``phone`` or ``cio_id``.
            value: The identifier.
        """
        path = f"/v1/customers/{quote(value, safe='')}/attributes?id_type={id_type}"
        found: dict[str, Any] = self._call("GET", path, none_at=404).get("customer") or {}
        return found

    def messages(self, since: int, until: int) -> Iterator[dict[str, Any]]:
        """List the deliveries that were created in a period, in unix seconds. Customer.io keeps six months."""
        start = ""
        while True:
            query = f"limit={_MAX_PAGE}&start_ts={since}&end_ts={until}" + (f"&start={start}" if start else "")
            page = self._call("GET", f"/v1/messages?{query}")
            found = page.get("messages") or []
            yield from found
            start = str(page.get("next") or "")
            if not start or not found:
                return

    def _wait(self, export_id: int) -> None:
        give_up = time.monotonic() + deadlines.EXPORT_SECONDS
        pause = deadlines.EXPORT_MIN_PAUSE_SECONDS
        while True:
            export = self._call("GET", f"/v1/exports/{export_id}")["export"]
            if export.get("failed") is True or export.get("status") == "failed":
                raise OperatorError(f"Export {export_id} failed at Customer.io: run the command again.")
            if export.get("status") == "done":
                return
            if time.monotonic() + pause > give_up:
                raise OperatorError(f"Export {export_id} is not done after an hour: look at it in Customer.io.")
            time.sleep(pause)
            pause = min(2 * pause, deadlines.EXPORT_MAX_PAUSE_SECONDS)

    def _download(self, export_id: int, to: Path) -> None:
        # The link is signed and valid for 15 minutes; the key does not belong to its host.
        url = str(self._call("GET", f"/v1/exports/{export_id}/download").get("url") or "")
        if not url:
            raise OperatorError(f"Export {export_id} has no download link: run the command again.")
        try:
            with httpx.stream("GET", url, timeout=deadlines.APP_API_SECONDS, follow_redirects=True) as response:
                response.raise_for_status()
                with to.open("wb") as file:
                    for piece in response.iter_bytes():
                        file.write(piece)
        except httpx.HTTPError as error:
            raise UnreachableError(
                f"The file of export {export_id} cannot be downloaded ({type(error).__name__}): run the command again."
            ) from None

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, none_at: int | None = None
    ) -> dict[str, Any]:
        """Send a request, again where waiting helps; the answer's JSON object, empty at the status ``none_at``."""
        give_up = time.monotonic() + deadlines.APP_API_RETRY_SECONDS
        while True:
            problem = "does not answer"
            try:
                response = self._client.request(method, path, json=body)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                problem = f"does not answer ({type(error).__name__})"
            else:
                if response.status_code == 200:
                    return _object(response)
                if response.status_code == none_at:
                    return {}
                problem = f"answers {response.status_code}"
                if response.status_code != 429 and response.status_code < 500:
                    raise OperatorError(
                        f"{self._client.base_url.host} {problem} to {_without_names(path)}: {_advice(response)}."
                    )
            if time.monotonic() > give_up:
                raise UnreachableError(
                    f"{self._client.base_url.host} {problem}: check the network, or see status.customer.io."
                )
            time.sleep(deadlines.APP_API_PAUSE_SECONDS)


def _without_names(path: str) -> str:
    """A path without the identifier of a person in it."""
    return re.sub(r"(/v1/customers/)[^/?]+(/)", r"\1PERSON\2", path)


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise OperatorError(f"{response.url.host} answered without a JSON object: is it Customer.io?")
    return found


def _advice(response: httpx.Response) -> str:
    if response.status_code == 401:
        return "CUSTOMERIO_APP_API_KEY (secret app-api-key) must be an App API key of the workspace"
    if response.status_code == 403:
        return "the App API key lacks the scope for it"
    return "see Customer.io's documentation of the App API"


def _key(target: Target) -> str:
    if text := target.environment.get("CUSTOMERIO_APP_API_KEY"):
        return text.partition(",")[0].strip()
    if target.is_local:
        raise OperatorError("CUSTOMERIO_APP_API_KEY is not set: load .local/stack.env, or set it.")
    client = clients.secret_manager()
    name = f"{target.secret('app-api-key')}/versions/latest"
    version = client.access_secret_version(request={"name": name}, timeout=deadlines.QUERY_SECONDS)
    return version.payload.data.decode().strip()
