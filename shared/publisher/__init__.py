"""The publisher: what an application imports to publish jobs, one call per job, each checked before it leaves.

    from customerio_jobs import Publisher

    publisher = Publisher("my-project")
    publisher.identify("42", email="ada@example.com", plan="pro")
    publisher.send_email(to="ada@example.com", identifiers={"id": "42"}, transactional_message_id=7)

``docs/publishing.md`` says how an application installs it, tests with it and shuts down.
"""

from ..jobs import InvalidJob
from .failures import FailedJob
from .job_future import JobFuture
from .options import JobOptions
from .publisher import Publisher

__all__ = ["FailedJob", "InvalidJob", "JobFuture", "JobOptions", "Publisher"]
