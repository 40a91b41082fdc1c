"""Pauses and resumes kinds of jobs: what the function control does, beside the answering of its pushes."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from ..customerio.probe import Probe
from ..pubsub.push_switch import Change, PushSwitch
from ..telemetry import Telemetry


class Pauses:
    """Joins the push of subscriptions with probes of Customer.io, and logs what changes.

    Args:
        switch: Switches push off and on.
        probes: The probe of each kind. Kinds that call the same API share one, which is then sent once a tick.
        telemetry: Gets a line per change, and one a minute while a kind is paused.
    """

    def __init__(self, switch: PushSwitch, probes: Mapping[str, Probe], telemetry: Telemetry) -> None:
        self._switch = switch
        self._probes = probes
        self._telemetry = telemetry
        self._looking = asyncio.Lock()

    async def pause(self, kind: str, reason: str) -> None:
        """Pause a kind for Customer.io's sake.

        Raises:
            PushSwitchError: if Pub/Sub does not answer; the call can be repeated.
        """
        self.log(kind, await asyncio.to_thread(self._switch.pause, kind, reason))

    async def look(self) -> None:
        """Probe what is due, end pauses that are over, and make push what the labels say. One look at a time.

        Raises:
            PushSwitchError: if Pub/Sub does not answer; the next look tries again.
        """
        if self._looking.locked():
            return
        async with self._looking:
            due = [kind for kind in self._switch.kinds if await asyncio.to_thread(self._switch.is_due, kind)]
            healthy = await self._healthy(due)
            for kind in self._switch.kinds:
                self.log(kind, await asyncio.to_thread(self._switch.reconcile, kind, is_healthy=kind in healthy))

    async def _healthy(self, kinds: Sequence[str]) -> set[str]:
        probes = list({self._probes[kind] for kind in kinds})
        refusals = dict(zip(probes, await asyncio.gather(*(probe.refusal() for probe in probes)), strict=True))
        return {kind for kind in kinds if not refusals[self._probes[kind]]}

    def log(self, kind: str, changes: Sequence[Change]) -> None:
        """Write one line for a kind, from the lane that was paused first."""
        paused = [change.after for change in changes if change.after.paused_by]
        resumed = any(change.before.paused_by and not change.after.paused_by for change in changes)
        if not paused:
            if resumed:
                self._telemetry.event("INFO", "resumed", "push is on again", kind=kind)
            return
        state = min(paused, key=lambda each: each.since)
        seconds = max(0, int(time.time()) - state.since)
        if any(not change.before.paused_by for change in changes):
            message = "push is paused: Customer.io turns requests away or does not answer"
            self._telemetry.event("ERROR", "paused", message, reason=state.reason, kind=kind, paused_seconds=seconds)
            return
        by = "an operator" if state.paused_by == "operator" else "Customer.io's answers"
        message = f"push is still paused, by {by}"
        self._telemetry.event(
            "WARNING", "still_paused", message, reason=state.reason, kind=kind, paused_seconds=seconds
        )
