"""A worker service moved by hand: as much of a fleet as a law needs, and as unkind as ECS may be.

Whoever lowers the desired count loses the busiest of the unprotected workers: a controller that is
safe here does not rely on luck.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from policies.model import (
    Applied,
    Capacity,
    Decision,
    LastWrite,
    Refused,
    Rollout,
    Unknown,
    Workers,
    WorkerState,
)

PROTECTION_SECONDS = 3600.0


class Outcome(StrEnum):
    """How a write ends."""

    APPLIED = "applied"
    REFUSED = "refused"
    LOST = "lost"
    """No answer, and it was not done."""
    UNHEARD = "unheard"
    """No answer, and it was done."""
    LATE = "late"
    """No answer, and it will be done after the next look."""


@dataclass
class Puppet:
    """The service, its workers by name, and a write that may still arrive."""

    slots_per_worker: int
    desired: int = 0
    rollout: Rollout = Rollout.STEADY
    contested_by: str = ""
    started_at: dict[str, float] = field(default_factory=dict)
    """Infinity: still pending."""
    busy: dict[str, float] = field(default_factory=dict)
    protected_until: dict[str, float] = field(default_factory=dict)
    lost_busy: list[str] = field(default_factory=list)
    """Workers that were stopped while they held work."""
    late: Decision | None = None
    born: int = 0

    def resize(self, desired: int, at: float, launch_seconds: float) -> None:
        """The service's own doing after its desired count is set."""
        self.desired = desired
        while len(self.started_at) < desired:
            self.born += 1
            self.started_at[f"w{self.born:04}"] = at + launch_seconds
        free = [name for name in self.started_at if self.protected_until.get(name, 0.0) <= at]
        free.sort(key=lambda name: (self.started_at[name] > at, self.busy.get(name, 0.0)))
        while len(self.started_at) > desired and free:
            name = free.pop()
            if self.busy.get(name, 0.0) > 0:
                self.lost_busy.append(name)
            del self.started_at[name]
            self.busy.pop(name, None)

    def occupy(self, running: float, at: float) -> float:
        """Fills the oldest workers first; the slots that found a worker."""
        self.busy, left = {}, running
        for name, started_at in self.started_at.items():
            if started_at <= at and left > 0:
                self.busy[name] = min(left, float(self.slots_per_worker))
                left -= self.busy[name]
        return running - left

    def capacity(self, at: float, *, listed: bool, witnessed: bool = True) -> Capacity:
        """What the fleet says; `witnessed`: somebody knows who is busy."""
        if self.late is not None:
            late, self.late = self.late, None
            self._do(late, at)
        pending = sum(started_at > at for started_at in self.started_at.values())
        return Capacity(
            self.desired,
            pending,
            len(self.started_at) - pending,
            workers=self._workers(at, witnessed=witnessed) if listed else None,
            rollout=self.rollout,
            contested_by=self.contested_by,
        )

    def _workers(self, at: float, *, witnessed: bool) -> Workers:
        names = tuple(self.started_at)
        started = np.array([self.started_at[name] for name in names], dtype=float)
        busy = [self.busy.get(name, 0.0) if witnessed else np.nan for name in names]
        return Workers(
            names,
            tuple((name,) for name in names),
            np.where(started <= at, WorkerState.RUNNING, WorkerState.PENDING).astype(np.int64),
            started,
            np.where(started <= at, started, np.nan),
            np.array(busy, dtype=float),
            np.ones(len(names)),
            np.array([self.protected_until.get(name, 0.0) for name in names], dtype=float),
        )

    def apply(
        self,
        decision: Decision,
        at: float,
        outcome: Outcome = Outcome.APPLIED,
        launch_seconds: float = 60.0,
    ) -> LastWrite:
        """Does what the decision says, as far as the outcome allows."""
        if decision.desired is None and not decision.protected and not decision.released:
            return None
        if outcome in {Outcome.APPLIED, Outcome.UNHEARD}:
            self._do(decision, at, launch_seconds)
        elif outcome is Outcome.LATE:
            self.late = decision
        match outcome:
            case Outcome.APPLIED:
                return Applied(decision.desired)
            case Outcome.REFUSED:
                return Refused(decision.desired, "throttled")
        return Unknown(decision.desired, "no answer")

    def _do(self, decision: Decision, at: float, launch_seconds: float = 60.0) -> None:
        for name in decision.protected & self.started_at.keys():
            self.protected_until[name] = at + PROTECTION_SECONDS
        for name in decision.released:
            self.protected_until.pop(name, None)
        if decision.desired is not None:
            self.resize(decision.desired, at, launch_seconds)
