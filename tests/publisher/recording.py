"""A publisher whose jobs a test looks at."""

from shared.publisher import Publisher
from shared.testing import RecordedJob, RecordingPublisher


def recording() -> tuple[Publisher, list[RecordedJob]]:
    """Make a publisher, and the list of the jobs that it has published so far."""
    publisher = RecordingPublisher("project-1")
    return publisher, publisher.jobs
