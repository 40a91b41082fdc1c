"""The publisher itself: all publishing methods, and those for broadcasts and user records."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from .events import EventMethods
from .job_future import JobFuture
from .objects import ObjectMethods
from .options import JobOptions
from .people import PeopleMethods
from .sends import SendMethods


class Publisher(PeopleMethods, ObjectMethods, EventMethods, SendMethods):
    """Publishes jobs. Safe to share between threads; make one per process.

    Every method returns at once with a ``JobFuture``. Jobs leave in batches a few milliseconds later. What still waits
    is sent when the interpreter exits or SIGTERM arrives; a job that fails is logged and given to ``on_error``, and if
    nobody was told of it, the process exits with status 1.

    A person is an id (text or number), or a mapping with one other identifier: ``{"email": "ada@example.com"}``.
    Jobs about one person on the identify and sync topics are delivered in the order of the calls. When one fails to be
    published, those queued behind it fail with it; later ones go out again.

    Args:
        project: Google Cloud project. Default: ``GOOGLE_CLOUD_PROJECT``.
        prefix: Topic-name prefix, e.g. ``"dev-"``.
        on_error: Called with a ``FailedJob`` for each job that Pub/Sub did not take, on a thread of its own.
        exit_timeout: Seconds that the interpreter's exit waits for jobs. Default 10; stay below the time that your
            platform grants after SIGTERM.
        client: A PublisherClient of your own with message ordering enabled. You close it.

    Raises:
        ValueError: if no project is given.
    """

    def broadcast(
        self,
        broadcast_id: int,
        *,
        audience: Literal["as_configured"] | None = None,
        recipients: Mapping[str, Any] | None = None,
        emails: Sequence[str] | None = None,
        ids: Sequence[str | int] | None = None,
        per_user_data: Sequence[Mapping[str, Any]] | None = None,
        data_file_url: str | None = None,
        data: Mapping[str, Any] | None = None,
        email_add_duplicates: bool | None = None,
        email_ignore_missing: bool | None = None,
        id_ignore_missing: bool | None = None,
        options: JobOptions | None = None,
    ) -> JobFuture:
        """Trigger a broadcast for one audience.

        Give one of ``recipients``, ``emails``, ``ids``, ``per_user_data`` and ``data_file_url``, or
        ``audience="as_configured"`` for the audience that is set up in Customer.io.
        """
        given = {
            "broadcast_id": broadcast_id,
            "recipients": recipients,
            "emails": emails,
            "ids": ids,
            "per_user_data": per_user_data,
            "data_file_url": data_file_url,
            "data": data,
            "email_add_duplicates": email_add_duplicates,
            "email_ignore_missing": email_ignore_missing,
            "id_ignore_missing": id_ignore_missing,
        }
        body = {name: value for name, value in given.items() if value is not None}
        return self._publish("broadcast", body, options, audience=audience or "")

    def sync_user(self, user: Mapping[str, Any], *, options: JobOptions | None = None) -> JobFuture:
        """Apply a user record at Customer.io: ``id``, ``email``, ``preferences`` and any further attribute."""
        return self._publish("sync", user, options)

    def user_deleted(self, id: str | int, *, options: JobOptions | None = None) -> JobFuture:  # noqa: A002
        """Suppress and delete a user at Customer.io. ``forget_user`` deletes what is stored here, too."""
        return self._publish("sync", {"id": id, "deleted": True}, options)

    def forget_user(
        self,
        id: str | int,  # noqa: A002
        *,
        email: str | None = None,
        options: JobOptions | None = None,
    ) -> JobFuture:
        """Forget a user: at Customer.io, and here, where no job that still waits brings them back.

        Args:
            id: The user's id.
            email: The user's address, by which jobs that wait may name them.
            options: The job's options.
        """
        named = {} if email is None else {"email": email}
        return self._publish("sync", {"id": id, "forget": True, **named}, options)
