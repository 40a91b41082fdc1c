"""Switches the push of subscriptions off and on, and writes down in their labels why."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError

from .. import deadlines
from ..push_targets import PushTarget, PushTargets
from . import pause
from .pause import Pace, PushState

if TYPE_CHECKING:
    from google.cloud.pubsub_v1 import SubscriberClient


class PushSwitchError(Exception):
    """Pub/Sub did not show or change a subscription. The text names it."""


class Change(NamedTuple):
    """State of one subscription before and after."""

    before: PushState
    after: PushState


class PushSwitch:
    """Pauses and resumes the subscriptions of each kind. Methods block; call them in a thread.

    Args:
        targets: Push config of each kind's subscriptions.
        pace: How fast pauses are probed and forgotten.
        client: Makes the client; given by tests.
        now: Unix time in seconds; given by tests.
    """

    def __init__(
        self,
        targets: PushTargets,
        pace: Pace,
        *,
        client: "Callable[[], SubscriberClient] | None" = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._targets = targets
        self._pace = pace
        self._new_client = client or _new_client
        self._client: SubscriberClient | None = None
        self._now = now
        # A label is changed by writing all labels. Two changes at once would undo each other.
        self._changing = threading.Lock()

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(self._targets)

    def pause(self, kind: str, reason: str) -> list[Change]:
        """Pause a kind because Customer.io turns it away or does not answer. An operator's pause stays as it is.

        Raises:
            PushSwitchError: if a subscription could not be changed; the call can be repeated.
        """
        return self._change(kind, lambda state: pause.pause_for_customerio(state, reason, self._now(), self._pace))

    def is_due(self, kind: str) -> bool:
        """Whether to ask Customer.io now if it takes this kind again.

        Raises:
            PushSwitchError: if a subscription could not be read.
        """
        names = self._targets[kind].subscriptions
        states = [pause.decode(self._call("get_subscription", name, subscription=name).labels) for name in names]
        return any(pause.is_due(state, self._now(), self._pace) for state in states)

    def reconcile(self, kind: str, *, is_healthy: bool) -> list[Change]:
        """End the pauses of a kind that are over, and make its push what its labels say.

        A subscription that is marked as paused and pushes, because Terraform put its push config back, is paused again.
        One that is not marked and does not push, because an operator took the mark away, pushes again.

        Args:
            kind: Kind of job.
            is_healthy: Whether a probe just found that Customer.io takes requests of this kind.

        Raises:
            PushSwitchError: if a subscription could not be changed; the next tick tries again.
        """
        return self._change(kind, lambda state: pause.at_tick(state, self._now(), self._pace, is_healthy=is_healthy))

    def _change(self, kind: str, change: Callable[[PushState], PushState]) -> list[Change]:
        target = self._targets[kind]
        with self._changing:
            return [self._change_one(name, target, change) for name in target.subscriptions]

    def _change_one(self, name: str, target: PushTarget, change: Callable[[PushState], PushState]) -> Change:
        # Read right before it is written: an operator may have paused it a moment ago.
        found = self._call("get_subscription", name, subscription=name)
        before = pause.decode(found.labels)
        after = change(before)
        wanted: dict[str, object] = {}
        if after != before:
            wanted["labels"] = pause.encode(after, found.labels)
        if bool(found.push_config.push_endpoint) == bool(after.paused_by):
            wanted["push_config"] = {} if after.paused_by else _push_config(target)
        if wanted:
            request = {"subscription": {"name": name, **wanted}, "update_mask": {"paths": sorted(wanted)}}
            self._call("update_subscription", name, request=request)
        return Change(before, after)

    def _call(self, method: str, name: str, **arguments: object) -> Any:
        try:
            if self._client is None:
                self._client = self._new_client()
            # Without the client's own retry, which goes on for a minute: the next tick is the retry.
            return getattr(self._client, method)(**arguments, timeout=deadlines.SUBSCRIPTION_CALL_SECONDS, retry=None)
        except (GoogleAPIError, GoogleAuthError) as error:
            raise PushSwitchError(f"{method} {name}: {type(error).__name__}") from None


def _push_config(target: PushTarget) -> dict[str, object]:
    config: dict[str, object] = {"push_endpoint": target.endpoint}
    if target.service_account:
        config["oidc_token"] = {"service_account_email": target.service_account, "audience": target.audience}
    return config


def _new_client() -> "SubscriberClient":
    # Imported here, in the thread that calls: it takes most of a second.
    from google.cloud.pubsub_v1 import SubscriberClient  # noqa: PLC0415

    return SubscriberClient()
