"""Scale-in of the cautious kind: no worker that holds work is put at risk.

The desired count goes down only while no worker is on its way, and only after every busy worker's
scale-in protection was set and read back; it never goes below the busy and protected workers.
ECS picks who leaves among the unprotected, so what remains is the moment between the reading and
the write, in which an idle worker may take a task.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoscaler.core.proposal import Context, Proposal
from policies.model import (
    NOBODY,
    Demand,
    Evidence,
    Reason,
    Workers,
    WorkerState,
)

RENEW_SECONDS = 600.0
"""A protection that ends sooner is renewed before anything leaves."""


@dataclass(frozen=True, slots=True)
class Drain:
    """How far in a proposal may go now, and which protections that needs."""

    proposal: Proposal
    protected: frozenset[str] = NOBODY
    released: frozenset[str] = NOBODY
    wants_workers: bool = False


@dataclass(frozen=True, slots=True)
class Caution:
    """When a scale-in may happen."""

    pending_deadline_seconds: float = 600.0
    """A worker that has not started by then no longer holds a scale-in up."""
    evidence_max_age_seconds: float = 60.0
    """Older knowledge of who is busy is none."""

    def drain(self, proposal: Proposal, context: Context) -> Drain:
        """The proposal if it does not shrink; else as much of it as is safe now."""
        current = context.current
        if proposal.workers >= current:
            return Drain(proposal)
        short_since = context.state.short_since
        if short_since is not None and context.at - short_since < self.pending_deadline_seconds:
            return Drain(_hold(proposal, current, Reason.WORKERS_PENDING, "workers are on their way"))
        workers = context.capacity.workers
        if workers is None:
            held = _hold(proposal, current, Reason.WORKERS_UNLISTED, "who is busy is read next")
            return Drain(held, wants_workers=True)
        idle_everywhere = isinstance(context.demand, Demand) and context.demand.load == 0
        doubt = self._doubt(context.observation.evidence, context.at, idle_everywhere=idle_everywhere)
        if doubt is not None:
            return Drain(_hold(proposal, current, *doubt), wants_workers=True)
        return _protect_then_lower(proposal, context, workers, idle_everywhere=idle_everywhere)

    def _doubt(self, evidence: Evidence, at: float, *, idle_everywhere: bool) -> tuple[Reason, str] | None:
        if evidence.unplaced_hosts:
            return Reason.BUSY_UNPLACED, f"busy, but no worker of ours: {evidence.unplaced_hosts[0]}"
        if not idle_everywhere and at - evidence.busy_at > self.evidence_max_age_seconds:
            return Reason.BUSY_UNKNOWN, "who is busy is not known"
        return None


def _protect_then_lower(
    proposal: Proposal, context: Context, workers: Workers, *, idle_everywhere: bool
) -> Drain:
    at, current = context.at, context.current
    staying = workers.state != WorkerState.STOPPING
    unknown = np.isnan(workers.busy_slots)
    busy = staying & (np.greater(workers.busy_slots, 0) | (unknown & (not idle_everywhere)))
    protected = staying & ~(workers.protected_until <= at)
    if idle_everywhere:
        busy &= ~unknown
    unsafe = busy & ~(workers.protected_until > at + RENEW_SECONDS)
    ours = context.state.protected
    releasable = protected & ~busy
    released = frozenset(name for name in _names(workers, releasable) if name in ours)
    if unsafe.any():
        count = int(unsafe.sum())
        held = _hold(proposal, current, Reason.PROTECTING, f"{count} busy workers to protect first")
        return Drain(held, _names(workers, unsafe), released, wants_workers=True)
    floor = int((busy | protected).sum())
    if proposal.workers < floor:
        floor = min(floor, current)
        note = f"{int(busy.sum())} busy, {int(protected.sum())} protected"
        proposal = proposal.to("drain", floor, Reason.WORKERS_HELD, note)
    return Drain(proposal, NOBODY, released, wants_workers=True)


def _names(workers: Workers, chosen: NDArray[np.bool_]) -> frozenset[str]:
    return frozenset(workers.ids[row] for row in np.flatnonzero(chosen))


def _hold(proposal: Proposal, current: int, reason: Reason, note: str) -> Proposal:
    return proposal.to("drain", current, reason, note)
