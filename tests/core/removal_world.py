"""All that can happen between a daemon that removes workers and a service that is as unkind as it may be.

A worker holds at most one task.  A tick of the daemon has these moments:

    the world moves - the daemon reads - the world moves - the daemon acts, in parts

and in each gap one thing may happen that is nobody's doing: a task comes, a task ends, a worker starts or
dies, a write that got no answer arrives.  Whoever is stopped is the service's choice among the workers
that are not protected: if it could have taken one that holds work, safety is broken.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from policies.model import (
    Applied,
    Capacity,
    Decision,
    Demand,
    Evidence,
    LastWrite,
    Observation,
    Refused,
    Unknown,
    Workers,
    WorkerState,
)

PROTECTED_SECONDS = 3000.0
"""What is left of a protection whenever somebody looks: none ends during a search."""
LATE_TICKS = 3
"""Within so many ticks a write without an answer arrives, or it never does ..."""
LAUNCH_TICKS = LATE_TICKS + 1
"""... and no worker is launched and takes a task in less."""


class BusyWorkerStoppedError(AssertionError):
    """The service may stop a worker that holds work, because we lowered its size."""


class Worker(NamedTuple):
    """One worker of the service."""

    name: str
    runs: bool = True
    busy: bool = False
    consuming: bool = True
    protected: bool = False
    flying: bool = False
    """A task that was sent to it before its intake stopped may still arrive."""
    young: int = 0
    """So many ticks it is sure not to start."""
    ordered_at: float = 0.0


class World(NamedTuple):
    """The service and its queue at one instant."""

    workers: tuple[Worker, ...]
    desired: int
    queued: int = 0
    late: tuple[int, int] | None = None
    """A lower size that was written without an answer, and the ticks within which it may still arrive."""
    slow: bool = False
    """The service has not acted yet on its size, or on a protection that ended."""
    born: int = 0

    def changed(self, worker: Worker, **values: Any) -> World:
        """With one worker changed."""
        after = worker._replace(**values)
        return self._replace(workers=tuple(after if each is worker else each for each in self.workers))

    def worked(self) -> Iterator[World]:
        """Queued tasks go to whoever takes them, whichever that is."""
        takers = [each for each in self.workers if each.runs and each.consuming and not each.busy]
        if not self.queued or not takers:
            yield self
            return
        for worker in {each._replace(name=""): each for each in takers}.values():
            yield from self.changed(worker, busy=True)._replace(queued=self.queued - 1).worked()

    def settled(self, at: float) -> Iterator[World]:
        """The service makes its size so: launches, or stops whoever it likes among the unprotected."""
        surplus = len(self.workers) - self.desired
        calm = self._replace(slow=False)
        if surplus <= 0:
            new = tuple(
                Worker(f"w{self.born + number}", runs=False, young=LAUNCH_TICKS, ordered_at=at)
                for number in range(-surplus)
            )
            yield calm._replace(workers=self.workers + new, born=self.born + len(new))
            return
        free = [worker for worker in self.workers if not worker.protected]
        if any(worker.busy for worker in free):
            raise BusyWorkerStoppedError(f"{surplus} to stop among {free}")
        for stopped in combinations(free, min(surplus, len(free))):
            yield calm._replace(workers=tuple(each for each in self.workers if each not in stopped))

    def moves(self, at: float, *, faults: bool, most: int) -> Iterator[tuple[World, bool]]:
        """All that may happen now, nothing included, and whether it is a fault."""
        yield self, False
        if self.queued + sum(each.busy for each in self.workers) < most:
            yield from ((world, False) for world in self._replace(queued=self.queued + 1).worked())
        for worker in {each._replace(name="", ordered_at=0.0): each for each in self.workers}.values():
            if worker.busy:
                yield from ((world, False) for world in self.changed(worker, busy=False).worked())
            if not worker.runs and not worker.young:
                yield from ((world, False) for world in self.changed(worker, runs=True).worked())
            if worker.flying and not worker.busy:
                yield self.changed(worker, busy=True, flying=False), False
            if faults and worker.runs:
                gone = self._replace(workers=tuple(each for each in self.workers if each is not worker))
                lost = gone._replace(queued=self.queued + worker.busy)
                yield from ((world, True) for world in lost.settled(at))
        if self.late is not None:
            desired = self.late[0]
            yield from ((world, False) for world in self._replace(desired=desired, late=None).settled(at))
        if self.slow:
            yield from ((world, False) for world in self.settled(at))

    def observed(self, at: float, last_write: LastWrite, *, listed: bool) -> Observation:
        """What a daemon sees of it."""
        running = sum(each.busy for each in self.workers)
        demand = Demand(float(self.queued), float(running), at)
        pending = sum(not each.runs for each in self.workers)
        workers = self._listed(at) if listed else None
        capacity = Capacity(self.desired, pending, len(self.workers) - pending, workers=workers)
        return Observation(at, demand, capacity, Evidence(at, (), at) if listed else Evidence(), last_write)

    def _listed(self, at: float) -> Workers:
        rows = self.workers
        return Workers(
            tuple(each.name for each in rows),
            tuple((each.name,) for each in rows),
            np.array([WorkerState.RUNNING if each.runs else WorkerState.PENDING for each in rows], np.int64),
            np.array([each.ordered_at for each in rows], float),
            np.array([each.ordered_at if each.runs else np.nan for each in rows], float),
            np.array([float(each.busy) for each in rows], float),
            np.array([float(each.consuming) if each.runs else np.nan for each in rows], float),
            np.array([at + PROTECTED_SECONDS if each.protected else 0.0 for each in rows], float),
        )

    def intake(self, decision: Decision) -> Iterator[World]:
        """Intake is set as decided; a task may be on its way to a worker that stops taking them."""
        rows = []
        for worker in self.workers:
            consuming = worker.name not in decision.intake_stopped
            if worker.runs and consuming != worker.consuming:
                rows.append(worker._replace(consuming=consuming, flying=not consuming))
            else:
                rows.append(worker)
        yield from self._replace(workers=tuple(rows)).worked()

    def covered(self, decision: Decision) -> World:
        """With protections set and ended as decided, unless fewer workers are desired than are protected."""
        if not decision.protected and not decision.released:
            return self
        names = {each.name for each in self.workers if each.protected} | decision.protected
        granted = decision.protected if len(names) <= self.desired else frozenset()
        rows = tuple(
            each._replace(
                protected=(each.protected or each.name in granted) and each.name not in decision.released
            )
            for each in self.workers
        )
        exposed = len(rows) > self.desired and not all(each.protected for each in rows)
        return self._replace(workers=rows, slow=self.slow or exposed)

    def resized(self, desired: int, at: float, *, faults: bool) -> Iterator[tuple[World, LastWrite, bool]]:
        """How a write of the size may end, and whether that is a fault."""
        done = self._replace(desired=desired, late=None)
        yield from ((after, Applied(desired), False) for after in done.settled(at))
        if desired < self.desired:
            yield done._replace(slow=True), Applied(desired), False
        if faults:
            yield self, Refused(desired, "throttled"), True
            yield from ((after, Unknown(desired, "unheard"), True) for after in done.settled(at))
            lower = desired < self.desired
            yield self._replace(late=(desired, LATE_TICKS)) if lower else self, Unknown(desired, "late"), True

    def later(self, at: float) -> Iterator[World]:
        """A tick has passed: what was on its way has arrived, or never will."""
        late = None if self.late is None or self.late[1] <= 1 else (self.late[0], self.late[1] - 1)
        rows = tuple(each._replace(young=each.young - 1) if each.young else each for each in self.workers)
        after = self._replace(late=late, workers=rows)
        yield from (after.settled(at) if self.slow else [after])

    def landed(self) -> World:
        """A task on its way to a worker arrives within a tick after its intake stopped."""
        rows = tuple(each._replace(flying=False) if each.flying else each for each in self.workers)
        return self._replace(workers=rows)
