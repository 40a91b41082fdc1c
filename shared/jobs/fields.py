"""Types of the fields that several kinds of job share, with the descriptions that reach the documentation."""

from typing import Annotated

from msgspec import Meta

from . import limits

ID = Annotated[str | int, Meta(description=f"at most {limits.MAX_ID_BYTES} bytes; a number is written as text")]
Email = Annotated[str, Meta(description=f"an email address, at most {limits.MAX_ID_BYTES} bytes")]
Phone = Annotated[str, Meta(description="E.164, where the workspace identifies people by phone")]
CioID = Annotated[str, Meta(description="Customer.io's own id, without the prefix `cio_`")]
Seconds = Annotated[int, Meta(description="unix seconds, not milliseconds")]

PERSON_IDENTIFIERS = ("id", "email", "phone", "cio_id")
