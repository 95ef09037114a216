"""The closed loop's other half: Airflow's queues and an ECS service, in virtual time.

Whoever drives it looks (`observe`), says what shall be (`apply`) and lets time pass (`advance`).  The
ports of the daemon's loop ask for the same through `demand`, `capacity` and `busy`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from autoscaler.core.evidence import placed
from policies.lull import Lull
from policies.model import (
    Busy,
    Capacity,
    Decision,
    Demand,
    Evidence,
    FloatArray,
    IntArray,
    LastWrite,
    Observation,
    Unavailable,
    Workers,
    WorkerState,
)
from simulations.airflow import Airflow
from simulations.fleet import Fleet
from simulations.kernel import Kernel, Rest
from simulations.luck import Luck
from simulations.past import expected_seconds
from simulations.place import Place, alone
from simulations.service import ServiceModel
from simulations.source import DATABASE, SourceModel, View
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
    """One target's load and its worker service.  All instants are Unix seconds, from `trace.starts_at` on.

    `workers` workers are there, ready and idle, from the beginning.  The same trace, service, source, seed
    and calls give the same world, to the last bit.
    """

    def __init__(
        self,
        trace: Trace,
        service: ServiceModel,
        seed: int,
        *,
        workers: int,
        airflow: Airflow | None = None,
        source: SourceModel = DATABASE,
        place: Place | None = None,
        tells_work_left: bool = False,
    ) -> None:
        """`airflow`: None is the plain queue with the service's slot tail and retry delay.

        `tells_work_left`: whether `busy` also says what the tasks' past lets expect.

        `place`: one beside other targets; time must pass (`advance`) once all have come together.
        Raises `TraceError` for a task that this Airflow could never run.
        """
        shared, place = place is not None, place or alone(trace, service, airflow, seed)
        # The first target's luck is that of a target alone.
        key = (place.number,) if place.number else ()
        streams = np.random.SeedSequence(seed, spawn_key=key).spawn(Luck.STREAMS + View.STREAMS)
        self.kernel, self._clock, self._line = place.kernel, place.clock, place.line
        luck = Luck(service, streams[: Luck.STREAMS])
        self.fleet = Fleet(place.line, place.kernel, service, luck, place.account, workers=workers)
        self._view = View(source, streams[Luck.STREAMS :], self._load, trace.starts_at)
        self._clock.joined_by(self.fleet, [self._view] if source.period_seconds else [])
        self._sees_now = source == DATABASE
        self._lists_workers = False
        self._last_write: LastWrite = None
        self._known: tuple[int, _Roster] | None = None
        self._expected = expected_seconds(trace) if tells_work_left else None
        if not shared:
            self._clock.advance(trace.starts_at)

    @property
    def now(self) -> float:
        """Unix seconds."""
        return self._line.now

    @property
    def desired(self) -> int:
        """The service's desired count."""
        return self.fleet.desired

    @property
    def size(self) -> int:
        """Workers that exist, those included that are on their way or leaving."""
        return self.fleet.size

    @property
    def waiting_slots(self) -> int:
        """Slots of tasks that are ready and wait: for Airflow's limits, or for a worker."""
        return self._line.queued_slots + self._line.scheduled_slots

    @property
    def wanted_slots(self) -> int:
        """Slots of tasks that wait or run."""
        return self.waiting_slots + self._line.running_slots

    @property
    def created_at(self) -> list[float]:
        """When each worker was ordered, in launch order ..."""
        return self.fleet.created_at

    @property
    def ready_at(self) -> list[float]:
        """... when it was, or would have been, ready ..."""
        return self.fleet.ready_at

    @property
    def stopped_at(self) -> list[float]:
        """... and when it was gone; NaN: it is not."""
        return self.fleet.stopped_at

    def advance(self, until: float) -> None:
        """Lets time pass.  Raises `ValueError` for a time that is past."""
        self._clock.advance(until)

    def observe(self, at: float) -> Observation:
        """What can be seen at `at`, time passing until then.

        Workers are listed if the last decision asked for it.
        """
        self._clock.advance(at)
        if not self._lists_workers:
            return Observation(at, self.demand(), self._counts(None), Evidence(), self._last_write)
        seen: Capacity | Unavailable
        seen, evidence = placed(self.capacity(list_workers=True), self.busy())
        return Observation(at, self.demand(), seen, evidence, self._last_write)

    def apply(self, decision: Decision) -> LastWrite:
        """Makes the decision so, now: protections first, then releases, then the desired count."""
        self._lists_workers = decision.wants_workers
        self._last_write = self.fleet.apply(decision)
        return self._last_write

    def rest(self, look: float, step_seconds: float, lull: Lull, quiet_until: float) -> Rest:
        """Passes over looks that show nothing new (see `Kernel.rest`).

        None where the source is no database, or an Airflow is modelled.

        For a target alone: nobody else's services act meanwhile.
        """
        if not (self._sees_now and isinstance(self.kernel, Kernel)):
            return Rest(0, None, self.kernel.unfinished)
        lull = lull._replace(until=min(lull.until, self.fleet.due_at))
        return self.kernel.rest(look, step_seconds, lull, quiet_until)

    def demand(self) -> Demand | Unavailable:
        """The load in slots, as the source shows it now.  Each call is a look, which may fail."""
        return self._load() if self._sees_now else self._view.demand(self._line.now)

    def capacity(self, *, list_workers: bool) -> Capacity:
        """The service now; who is busy is for `busy` to say."""
        return self._counts(self._listed() if list_workers else None)

    def busy(self) -> Busy:
        """Slots of running tasks by host, leaving workers included: Airflow knows nothing of services."""
        fleet = self.fleet
        roster = self._roster()
        busy_slots = self._line.busy_slots
        slots = busy_slots[roster.numbers].tolist()
        held = {name: held for name, held in zip(roster.names, slots, strict=True) if held}
        for worker in sorted(fleet.leaving):
            if busy_slots[worker]:
                held[f"worker-{worker}"] = int(busy_slots[worker])
        return Busy(held, self._line.now, {} if self._expected is None else self._work_left(self._expected))

    def _work_left(self, expected: FloatArray) -> dict[str, float]:
        """By host; a task that has outlived what was expected of it makes its host unknown."""
        tasks, workers = self._line.running_tasks()
        left = expected[tasks] - (self._line.now - self.kernel.started_at[tasks])
        left[left < 0] = NAN
        most = np.zeros(len(self._line.running))
        with np.errstate(invalid="ignore"):  # an unknown task makes its worker unknown
            np.maximum.at(most, workers, left)
        return {f"worker-{worker}": float(most[worker]) for worker in np.unique(workers)}

    def _load(self) -> Demand:
        line = self._line
        return Demand(
            queued=float(line.queued_slots),
            running=float(line.running_slots),
            measured_at=line.now,
            oldest_wait_seconds=line.oldest_wait_seconds,
            scheduled=float(line.scheduled_slots),
            source="simulation",
        )

    def _counts(self, workers: Workers | None) -> Capacity:
        fleet = self.fleet
        running, draining = self._line.running_workers - len(fleet.leaving), 0
        if fleet.intake_stopped:
            draining = sum(int(self._line.running[fleet.alive[name]]) for name in fleet.intake_stopped)
        return Capacity(fleet.desired, len(fleet.alive) - running, running, draining, workers)

    def _listed(self) -> Workers:
        fleet, line, roster = self.fleet, self._line, self._roster()
        running = line.running[roster.numbers]
        return Workers(
            ids=roster.names,
            hosts=roster.hosts,
            state=np.where(running, int(WorkerState.RUNNING), int(WorkerState.PENDING)),
            created_at=roster.created_at,
            started_at=np.where(running, roster.ready_at, NAN),
            busy_slots=np.full(len(running), NAN),
            consuming=line.consuming[roster.numbers].astype(float),
            protected_until=np.array([fleet.protected_until[worker] for worker in fleet.alive.values()]),
        )

    def _roster(self) -> _Roster:
        """Made once for as long as nobody comes or goes."""
        fleet = self.fleet
        if self._known is None or self._known[0] != fleet.changes:
            numbers = list(fleet.alive.values())
            roster = _Roster(
                tuple(fleet.alive),
                tuple((name,) for name in fleet.alive),
                np.array(numbers, dtype=np.int64),
                np.array([fleet.created_at[worker] for worker in numbers]),
                np.array([fleet.ready_at[worker] for worker in numbers]),
            )
            self._known = (fleet.changes, roster)
        return self._known[1]
