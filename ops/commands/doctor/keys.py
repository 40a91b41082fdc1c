"""The four credentials, from variables or from Secret Manager."""

from collections.abc import Mapping

from ops import clients, deadlines
from ops.commands.doctor.finding import Finding, failed, ok, skipped
from ops.target import Target

# The functions' variables, and the short names of Terraform's secrets.
SECRETS = {
    "CUSTOMERIO_SITE_ID": "site-id",
    "CUSTOMERIO_TRACK_API_KEY": "track-api-key",
    "CUSTOMERIO_APP_API_KEY": "app-api-key",
    "CUSTOMERIO_WEBHOOK_SIGNING_KEY": "webhook-signing-key",
}

Keys = Mapping[str, tuple[str, ...]]
"""Values by variable, newest first; a variable without a value is left out."""


def read_keys(target: Target) -> tuple[Keys, list[Finding]]:
    """Read each credential, with a finding where there is something to say. The local stack has only variables."""
    keys: dict[str, tuple[str, ...]] = {}
    findings = []
    for variable, name in SECRETS.items():
        if text := target.environment.get(variable):
            keys[variable] = tuple(part.strip() for part in text.split(",") if part.strip())
        elif target.is_local:
            findings.append(failed(variable, "is not set: load .local/stack.env, or set it before `make run`"))
        else:
            values, finding = _read(target, name)
            findings.append(finding)
            if values:
                keys[variable] = values
    return keys, findings


def _read(target: Target, name: str) -> tuple[tuple[str, ...], Finding]:
    from google.api_core.exceptions import GoogleAPIError, NotFound, PermissionDenied  # noqa: PLC0415
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

    secret = target.secret(name)
    check = f"secret {secret.rpartition('/')[2]}"
    try:
        client = clients.secret_manager()
        versions = client.list_secret_versions(
            request={"parent": secret, "filter": "state:ENABLED"}, timeout=deadlines.QUERY_SECONDS, retry=None
        )
        values = tuple(
            client.access_secret_version(
                request={"name": version.name}, timeout=deadlines.QUERY_SECONDS, retry=None
            ).payload.data.decode()
            for version in versions
        )
    except PermissionDenied:
        return (), skipped(check, "you may not read it, only the functions may; checks that need it are skipped")
    except NotFound:
        return (), failed(
            check, f"{secret} does not exist: run `terraform apply`, or check --project and --environment"
        )
    except (GoogleAPIError, GoogleAuthError) as error:
        return (), failed(
            check, f"Secret Manager does not answer ({type(error).__name__}): check the network and your credentials"
        )
    if not values:
        return (), failed(check, f"has no enabled version: run `python -m ops secrets set {name}`")
    return tuple(value.strip() for value in values), ok(check, f"readable, {len(values)} enabled")
