"""Scale-in of the cautious kind: no worker that holds work is put at risk.

The desired count goes down only while no worker is on its way, and only after every busy worker's
scale-in protection was set and read back; it never goes below the busy and protected workers.
ECS picks who leaves among the unprotected, so what remains is the moment between the reading and
the write, in which an idle worker may take a task.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autoscaler.core.listing import RENEW_SECONDS
from autoscaler.core.proposal import Context, Proposal
from autoscaler.core.state import NOTHING, Removal, State
from policies.model import NOBODY, Demand, Reason, Rollout, Workers, WorkerState


class Drain(NamedTuple):
    """How far in a proposal may go now, and which protections that needs."""

    proposal: Proposal
    ours: frozenset[str]
    """Workers whose protection we set, as far as we see."""
    protected: frozenset[str] = NOBODY
    released: frozenset[str] = NOBODY
    wants_workers: bool = False
    removal: Removal = NOTHING
    """Who is being removed, after this step."""


@dataclass(frozen=True, slots=True)
class Caution:
    """When a scale-in may happen."""

    pending_deadline_seconds: float = 600.0
    """A worker that has not started by then no longer holds a scale-in up."""
    evidence_max_age_seconds: float = 60.0
    """Older knowledge of who is busy is none."""

    @property
    def weighs_work(self) -> bool:
        """It asks whether a worker is busy, not for how long."""
        return False

    def drain(self, proposal: Proposal, context: Context) -> Drain:
        """The proposal if it does not shrink; else as much of it as is safe now."""
        state, current = context.state, context.current
        ours, workers = state.protected, context.capacity.workers
        if proposal.workers >= current:
            if not ours or context.capacity.rollout is Rollout.STEADY:
                return Drain(proposal, ours)
            return self._let_go(proposal, context)
        if state.short_since is not None and context.at - state.short_since < self.pending_deadline_seconds:
            return Drain(_hold(proposal, context, Reason.WORKERS_PENDING, "workers are on their way"), ours)
        if workers is None:
            held = _hold(proposal, context, Reason.WORKERS_UNLISTED, "who is busy is read next")
            return Drain(held, ours, wants_workers=True)
        if (doubt := self._doubt(context)) is not None:
            return Drain(_hold(proposal, context, *doubt), ours, wants_workers=True)
        return _protect_then_lower(proposal, context, workers)

    def given_up(self, proposal: Proposal, context: Context) -> Drain:
        """Nothing is written."""
        return Drain(proposal, context.state.protected)

    def unseen(self, state: State, wish: float, at: float) -> Removal:
        """Nobody's intake is stopped."""
        return NOTHING

    def _doubt(self, context: Context) -> tuple[Reason, str] | None:
        evidence = context.observation.evidence
        if evidence.unplaced_hosts:
            return Reason.BUSY_UNPLACED, f"busy, but no worker of ours: {evidence.unplaced_hosts[0]}"
        if context.at - evidence.busy_at > self.evidence_max_age_seconds and not _idle_everywhere(context):
            return Reason.BUSY_UNKNOWN, "who is busy is not known"
        return None

    def _let_go(self, proposal: Proposal, context: Context) -> Drain:
        """Our protections must not keep an old deployment alive: idle workers lose theirs."""
        workers, ours = context.capacity.workers, context.state.protected
        if workers is None or self._doubt(context) is not None:
            return Drain(proposal, ours, wants_workers=True)
        rows = _Rows.of(workers, context)
        return Drain(proposal, rows.ours(), released=rows.releasable(), wants_workers=True)


class _Rows(NamedTuple):
    """Who is busy and who is protected among the workers that stay."""

    workers: Workers
    context: Context
    busy: NDArray[np.bool_]
    """Unknown counts as busy, unless nothing is queued or running anywhere."""
    protected: NDArray[np.bool_]
    """Unknown counts as protected."""

    @staticmethod
    def of(workers: Workers, context: Context) -> _Rows:
        staying = workers.state != WorkerState.STOPPING
        slots = workers.busy_slots
        busy = slots > 0 if _idle_everywhere(context) else ~(slots <= 0)
        return _Rows(workers, context, staying & busy, staying & ~(workers.protected_until <= context.at))

    def names(self, chosen: NDArray[np.bool_]) -> frozenset[str]:
        return frozenset(compress(self.workers.ids, chosen.tolist()))

    def ours(self) -> frozenset[str]:
        """Those of which nobody sees that their protection has ended; so the set never outgrows the workers.

        Taking away the few that have lost it is ten times as fast as looking for the many that have it.
        """
        ours = self.context.state.protected
        if ours:
            ours -= self.names(~self.protected)
        return ours if len(ours) <= len(self.workers) else ours.intersection(self.workers.ids)

    def releasable(self) -> frozenset[str]:
        """Idle, and protected by us: what others protect is theirs to release."""
        ours = self.context.state.protected
        return ours & self.names(self.protected & ~self.busy) if ours else ours


def _idle_everywhere(context: Context) -> bool:
    demand = context.demand
    return isinstance(demand, Demand) and demand.whole and demand.load == 0


def _protect_then_lower(proposal: Proposal, context: Context, workers: Workers) -> Drain:
    rows = _Rows.of(workers, context)
    ours, released = rows.ours(), rows.releasable()
    unsafe = rows.busy & ~(workers.protected_until > context.at + RENEW_SECONDS)
    if unsafe.any() and not context.observing:
        note = f"{int(unsafe.sum())} busy workers to protect first"
        held = _hold(proposal, context, Reason.PROTECTING, note)
        # Whoever was protected by somebody else stays theirs; we only prolong it.
        claimed = rows.names(unsafe & (workers.protected_until <= context.at))
        return Drain(held, ours | claimed, rows.names(unsafe), released, wants_workers=True)
    floor = int((rows.busy | rows.protected).sum())
    if proposal.workers < floor:
        note = f"{int(rows.busy.sum())} busy, {int(rows.protected.sum())} protected"
        proposal = proposal.to("drain", min(floor, context.current), Reason.WORKERS_HELD, note)
    return Drain(proposal, ours, released=released, wants_workers=True)


def _hold(proposal: Proposal, context: Context, reason: Reason, note: str) -> Proposal:
    return proposal.to("drain", context.current, reason, note)
