"""Who may be written to."""

from ops.commands.doctor.finding import Finding, failed, ok, skipped
from ops.target import Target
from shared.recipients import RecipientPolicy


def check_recipients(target: Target) -> Finding:
    """Say who may be written to: what ``stack.env`` tells of the local stack. Terraform knows it of an environment."""
    if not target.is_local:
        return skipped("recipients", "`terraform output recipients` says who may be written to here")
    try:
        policy = RecipientPolicy.decode(target.environment.get("RECIPIENTS") or "{}")
    except ValueError as error:
        return failed("recipients", f"RECIPIENTS is not such JSON as docs/recipients.md shows: {error}")
    return ok("recipients", str(policy))
