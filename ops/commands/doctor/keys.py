"""The four credentials: from variables, or from Secret Manager as the functions read them."""

from collections.abc import Mapping

from ops import google
from ops.doctor.finding import Finding, failed, ok, skipped
from ops.target import Target

# Variable of the functions to secret of Terraform's.
SECRETS = {
    "CUSTOMERIO_SITE_ID": "site-id",
    "CUSTOMERIO_TRACK_API_KEY": "track-api-key",
    "CUSTOMERIO_APP_API_KEY": "app-api-key",
    "CUSTOMERIO_WEBHOOK_SIGNING_KEY": "webhook-signing-key",
}
_CALL_SECONDS = 10.0

Keys = Mapping[str, tuple[str, ...]]
"""Values by variable, newest first. A variable without a value is left out."""


def read_keys(target: Target) -> tuple[Keys, list[Finding]]:
    """Each credential's values, and what was found on the way; on one machine they are variables alone."""
    keys: dict[str, tuple[str, ...]] = {}
    findings = []
    for variable, name in SECRETS.items():
        if text := target.environment.get(variable):
            keys[variable] = tuple(part.strip() for part in text.split(",") if part.strip())
        elif target.on_one_machine:
            findings.append(failed(variable, "is not set: the functions of this machine need it"))
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
        client = google.secret_manager()
        versions = client.list_secret_versions(
            request={"parent": secret, "filter": "state:ENABLED"}, timeout=_CALL_SECONDS
        )
        values = tuple(
            client.access_secret_version(request={"name": version.name}, timeout=_CALL_SECONDS).payload.data.decode()
            for version in versions
        )
    except PermissionDenied:
        return (), skipped(check, "you may not read it, only the functions may; what needs it is not checked")
    except NotFound:
        return (), failed(check, f"{secret} does not exist: run `terraform apply`, or see --project and --environment")
    except (GoogleAPIError, GoogleAuthError) as error:
        return (), failed(check, f"Secret Manager did not answer: {type(error).__name__}")
    if not values:
        return (), failed(check, f"has no enabled version: run `python -m ops secrets set {name}`")
    return tuple(value.strip() for value in values), ok(check, f"readable, {len(values)} enabled")
