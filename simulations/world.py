"""The closed loop's other half: Airflow's queue and an ECS service, in virtual time.

Whoever drives it looks (`observe`), says what shall be (`apply`) and lets time pass (`advance`).  The
ports of the daemon's loop ask for the same through `demand`, `capacity` and `busy`.

The service does what ECS does: `desired` is absolute; missing workers are launched at once and take
tasks a launch delay later; surplus ones are stopped at once, by lot among the unprotected, whether they
hold work or not.  Protected workers stay: a surplus waits until a protection ends.  New protections are
refused while fewer workers are desired than protected (DEPLOYMENT_BLOCKED).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from autoscaler.core.evidence import placed
from policies.model import (
    Applied,
    Busy,
    Capacity,
    Decision,
    Demand,
    Evidence,
    FloatArray,
    IntArray,
    LastWrite,
    Observation,
    Refused,
    Unavailable,
    Workers,
    WorkerState,
)
from simulations.kernel import INFINITY, Kernel
from simulations.service import ServiceModel
from simulations.trace import Trace

NAN = float("nan")


class _Roster(NamedTuple):
    """What stays the same of the workers that exist, in the order of their launch."""

    names: tuple[str, ...]
    hosts: tuple[tuple[str, ...], ...]
    numbers: IntArray
    created_at: FloatArray
    ready_at: FloatArray


class World:
    """One queue and its worker service.  All instants are Unix seconds; it begins at `trace.starts_at`.

    `workers` workers are there, ready and idle, from the beginning.  The same trace, service, seed and
    calls give the same world, to the last bit.
    """

    def __init__(self, trace: Trace, service: ServiceModel, seed: int, *, workers: int) -> None:
        self.kernel = Kernel(
            trace,
            slots_per_worker=service.slots_per_worker,
            slot_tail_seconds=service.slot_tail_seconds,
            retry_delay_seconds=service.retry_delay_seconds,
        )
        self._service = service
        # Two streams: how often lots are drawn must not change how long a launch takes.
        self._launches, self._lots = np.random.default_rng(seed).spawn(2)
        self.desired = workers
        self._alive: dict[str, int] = {}
        """Number by name, in the order of launch."""
        self.created_at: list[float] = []
        self.ready_at: list[float] = []
        self.stopped_at: list[float] = []
        """NaN: not stopped."""
        self._protected_until: list[float] = []
        self._intake_stopped: frozenset[str] = frozenset()
        self._look_again_at = INFINITY
        """When a protection ends that keeps a surplus worker."""
        self._lists_workers = False
        self._last_write: LastWrite = None
        self._known: _Roster | None = None
        for _ in range(workers):
            self._launch(trace.starts_at, 0.0)
        self.kernel.advance(trace.starts_at)

    @property
    def now(self) -> float:
        """Unix seconds."""
        return self.kernel.now

    @property
    def size(self) -> int:
        """Workers that exist, on their way ones included."""
        return len(self._alive)

    def advance(self, until: float) -> None:
        """Lets time pass.  Raises `ValueError` for a time that is past."""
        if until < self.now:
            raise ValueError(f"time does not run backwards: now {self.now}, asked for {until}")
        while self._look_again_at <= until:
            self.kernel.advance(self._look_again_at)
            self._reconcile()
        self.kernel.advance(until)

    def observe(self, at: float) -> Observation:
        """What can be seen at `at`, time passing until then.

        Workers are listed if the last decision asked for it.
        """
        self.advance(at)
        if not self._lists_workers:
            return Observation(at, self.demand(), self._counts(None), Evidence(), self._last_write)
        seen: Capacity | Unavailable
        seen, evidence = placed(self.capacity(list_workers=True), self.busy())
        return Observation(at, self.demand(), seen, evidence, self._last_write)

    def apply(self, decision: Decision) -> LastWrite:
        """Makes the decision so, now: protections first, then releases, then the desired count."""
        self._lists_workers = decision.wants_workers
        self._last_write = self._apply(decision)
        return self._last_write

    def demand(self) -> Demand:
        """The load now, in slots."""
        kernel = self.kernel
        return Demand(
            queued=float(kernel.queued_slots),
            running=float(kernel.running_slots),
            measured_at=kernel.now,
            oldest_wait_seconds=kernel.oldest_wait_seconds,
            source="simulation",
        )

    def capacity(self, *, list_workers: bool) -> Capacity:
        """The service now; who is busy is for `busy` to say."""
        return self._counts(self._listed() if list_workers else None)

    def busy(self) -> Busy:
        """Slots of running tasks by host."""
        roster = self._roster()
        slots = self.kernel.busy_slots[roster.numbers].tolist()
        held = {name: held for name, held in zip(roster.names, slots, strict=True) if held}
        return Busy(held, self.now)

    def _counts(self, workers: Workers | None) -> Capacity:
        running = self.kernel.running_workers
        draining = 0
        if self._intake_stopped:
            draining = sum(int(self.kernel.running[self._alive[name]]) for name in self._intake_stopped)
        return Capacity(self.desired, len(self._alive) - running, running, draining, workers)

    def _listed(self) -> Workers:
        kernel, roster = self.kernel, self._roster()
        running = kernel.running[roster.numbers]
        return Workers(
            ids=roster.names,
            hosts=roster.hosts,
            state=np.where(running, int(WorkerState.RUNNING), int(WorkerState.PENDING)),
            created_at=roster.created_at,
            started_at=np.where(running, roster.ready_at, NAN),
            busy_slots=np.full(len(running), NAN),
            consuming=kernel.consuming[roster.numbers].astype(float),
            protected_until=np.array([self._protected_until[worker] for worker in self._alive.values()]),
        )

    def _roster(self) -> _Roster:
        """Made once for as long as nobody comes or goes."""
        if self._known is None:
            numbers = list(self._alive.values())
            self._known = _Roster(
                tuple(self._alive),
                tuple((name,) for name in self._alive),
                np.array(numbers, dtype=np.int64),
                np.array([self.created_at[worker] for worker in numbers]),
                np.array([self.ready_at[worker] for worker in numbers]),
            )
        return self._known

    def _apply(self, decision: Decision) -> LastWrite:
        desired, now = decision.desired, self.now
        if desired is not None and desired < 0:
            return Refused(desired, f"desired must be at least 0, got {desired}")
        gone = (decision.protected | decision.released) - self._alive.keys()
        if gone:
            return Refused(desired, f"there is no worker {min(gone)}")
        if decision.protected and self._protected() > self.desired:
            return Refused(desired, "DEPLOYMENT_BLOCKED: fewer workers are desired than protected")
        for name in decision.protected:
            self._protected_until[self._alive[name]] = now + self._service.protection_seconds
        for name in decision.released:
            self._protected_until[self._alive[name]] = 0.0
        moved = self._stop_intake(decision.intake_stopped & self._alive.keys())
        if desired is not None:
            self.desired = desired
        elif not (decision.protected or decision.released or moved):
            return None
        self._reconcile()
        return Applied(desired)

    def _stop_intake(self, stopped: frozenset[str]) -> bool:
        """Whether anything changed."""
        if stopped == self._intake_stopped:
            return False
        for name in sorted(stopped ^ self._intake_stopped):
            self.kernel.take_tasks(self._alive[name], consuming=name not in stopped)
        self._intake_stopped = stopped
        return True

    def _protected(self) -> int:
        return sum(self._protected_until[worker] > self.now for worker in self._alive.values())

    def _reconcile(self) -> None:
        """Launches what is missing, stops what is too much."""
        self._look_again_at = INFINITY
        missing = self.desired - len(self._alive)
        for _ in range(missing):
            self._launch(self.now, self._service.launch.seconds(self._launches))
        if missing < 0:
            self._stop_surplus(-missing)

    def _launch(self, at: float, delay_seconds: float) -> None:
        self._known = None
        worker = self.kernel.launch(at + delay_seconds)
        self._alive[f"worker-{worker}"] = worker
        self.created_at.append(at)
        self.ready_at.append(at + delay_seconds)
        self.stopped_at.append(NAN)
        self._protected_until.append(0.0)

    def _stop_surplus(self, surplus: int) -> None:
        self._known = None
        now, running = self.now, self.kernel.running
        unprotected = [name for name, worker in self._alive.items() if self._protected_until[worker] <= now]
        drawn = [unprotected[place] for place in self._lots.permutation(len(unprotected))]
        if self._service.pending_leave_first:
            drawn.sort(key=lambda name: running[self._alive[name]])
        for name in drawn[:surplus]:
            worker = self._alive.pop(name)
            self.stopped_at[worker] = now
            self.kernel.stop(worker)
        self._intake_stopped &= self._alive.keys()
        if surplus > len(drawn):
            self._look_again_at = min(self._protected_until[worker] for worker in self._alive.values())
