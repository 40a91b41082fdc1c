"""Jobs that could not be published: why, what to do about it, and who is told."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from google.api_core import exceptions as google_errors
from google.auth.exceptions import GoogleAuthError

logger = logging.getLogger("customerio_jobs")

OnError = Callable[["FailedJob"], object]


@dataclass(frozen=True, slots=True)
class FailedJob:
    """One job that Pub/Sub did not take.

    Args:
        kind: ``identify``, ``track``, ``send``, ``broadcast`` or ``sync``.
        job_id: The job's id.
        advice: What is wrong, and what to do.
        error: The error as the Pub/Sub client raised it.
    """

    kind: str
    job_id: str
    advice: str
    error: BaseException


class FailureLog:
    """Logs each reason once, and hands every failed job to the application's ``on_error``."""

    def __init__(self, on_error: OnError | None) -> None:
        self._on_error = on_error
        self._logged: set[str] = set()
        self._lock = threading.Lock()
        # The advice for the summary at exit: that of a cause, rather than of jobs that only failed behind another.
        self.first_advice = ""
        self._first_is_consequence = False

    def report(self, job: FailedJob) -> None:
        with self._lock:
            new = job.advice not in self._logged
            self._logged.add(job.advice)
            if not self.first_advice or self._first_is_consequence:
                self.first_advice, self._first_is_consequence = job.advice, isinstance(job.error, RuntimeError)
        if new:
            logger.error("%s jobs are not published: %s (Logged once for this reason.)", job.kind, job.advice)
        if self._on_error is None:
            return
        try:
            self._on_error(job)
        except Exception:
            logger.exception("on_error raised for a failed %s job", job.kind)


def advice_for(error: BaseException, topic: str) -> str:
    """Say what is wrong and what to do, in one or two sentences without any of the job's content.

    Args:
        error: The error of a publish.
        topic: ``projects/P/topics/T``.
    """
    project = topic.split("/")[1]
    match error:
        case google_errors.NotFound():
            return (
                f"the topic {topic} does not exist. Check the project (GOOGLE_CLOUD_PROJECT or Publisher(project)) and "
                "the prefix, and that the functions are deployed there."
            )
        case google_errors.PermissionDenied():
            return (
                f"this application may not publish to {topic}. Grant its service account roles/pubsub.publisher there "
                "(Terraform variable `publishers`), and check that the project is the right one."
            )
        case google_errors.Unauthenticated() | GoogleAuthError():
            return (
                f"Google Cloud does not accept this application's credentials for {project}. Run it with a service "
                "account, or `gcloud auth application-default login` on your own machine."
            )
        case RuntimeError():
            return "an earlier job of the same person failed, and this one must not overtake it. Publish it again."
        case _:
            return f"Pub/Sub refused the job for {topic} ({type(error).__name__})."


def unreachable(topic: str, seconds: float) -> str:
    """Describe jobs that wait although ``seconds`` have passed."""
    return (
        f"Pub/Sub has not answered for {seconds:.0f} s; jobs wait for {topic}. Check the network, and "
        "PUBSUB_EMULATOR_HOST if it is set."
    )
