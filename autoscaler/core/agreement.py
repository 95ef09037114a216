"""Who is busy, from two independent sides: Airflow's database and the workers themselves.

A worker is idle only if both say so; it is as fresh as the older of the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from policies.model import NEVER, Capacity, Evidence, Unavailable, WorkerState


@dataclass(frozen=True, slots=True)
class WorkerIntake:
    """What one worker says of itself."""

    active: int
    """Tasks it runs."""
    reserved: int
    """Tasks it has taken from the broker and does not run yet."""
    queues: frozenset[str]
    """Queues it consumes; none: its intake is stopped."""

    @property
    def held(self) -> int:
        """Tasks that would be lost with it."""
        return self.active + self.reserved


@dataclass(frozen=True, slots=True)
class Intakes:
    """What the workers say of themselves, by worker id."""

    workers: Mapping[str, WorkerIntake]
    measured_at: float
    """No later than any of the answers."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """The workers that were asked in vain, and why."""


def agreed(
    capacity: Capacity | Unavailable, evidence: Evidence, intakes: Intakes | Unavailable
) -> tuple[Capacity | Unavailable, Evidence]:
    """What `placed` made of the database's word, with the workers' own word added.

    `busy_slots` is the larger of the two; where the worker did not answer it is what the database says if
    that is busy, and else unknown.  `consuming` is what the worker says, and `draining` counts those that do
    not.  Without any answer `Evidence.busy_at` is `NEVER`.
    """
    if isinstance(capacity, Unavailable) or capacity.workers is None:
        return capacity, evidence
    workers = capacity.workers
    said = {} if isinstance(intakes, Unavailable) else intakes.workers
    nan = float("nan")
    answers = [said.get(worker) for worker in workers.ids]
    held = np.array([nan if each is None else each.held for each in answers])
    consuming = np.array([nan if each is None else float(bool(each.queues)) for each in answers])
    # NaN wins over "idle" (0), a task that one side sees wins over NaN: fmax ignores NaN, maximum keeps it.
    seen = workers.busy_slots
    busy = np.where(np.fmax(seen, held) > 0, np.fmax(seen, held), np.maximum(seen, held))
    measured_at = NEVER if isinstance(intakes, Unavailable) else intakes.measured_at
    joined = replace(workers, busy_slots=busy, consuming=consuming)
    fresh = replace(evidence, busy_at=min(evidence.busy_at, measured_at), intake_at=measured_at)
    draining = int(((consuming == 0) & (workers.state == WorkerState.RUNNING)).sum())
    return replace(capacity, workers=joined, draining=draining), fresh
