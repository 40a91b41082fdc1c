"""Customer.io jobs over Google Cloud Pub/Sub.

An application installs this folder as the package ``customerio_jobs`` and imports the names below. A function imports
the modules that it needs, and does not pay for the publisher: each name is loaded when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .publisher import FailedJob, InvalidJob, JobFuture, JobOptions, Publisher

__all__ = ["FailedJob", "InvalidJob", "JobFuture", "JobOptions", "Publisher"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(".publisher", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
