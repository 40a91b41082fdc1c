"""Hosts of Customer.io's two regions: https://docs.customer.io/integrations/api/track and /app."""

from typing import Literal

Region = Literal["us", "eu"]

_HOST_SUFFIX: dict[Region, str] = {"us": "", "eu": "-eu"}


def track_url(region: Region) -> str:
    return f"https://track{_HOST_SUFFIX[region]}.customer.io"


def app_url(region: Region) -> str:
    return f"https://api{_HOST_SUFFIX[region]}.customer.io"
