"""Daemons with one bug each, that the harness must catch: what it would not notice it does not prove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds
from autoscaler.core.ownership import Respect
from autoscaler.core.removal import SafeRemoval
from autoscaler.core.state import Ownership, State
from autoscaler.loop import TargetLoop
from policies.model import (
    Capacity,
    Decision,
    Demand,
    Observation,
    Reason,
    Stage,
    Unavailable,
    Workers,
    WorkerState,
)
from tests.soak import port_bugs
from tests.soak.bugs import Bug, configured, guarded, otherwise, seeing, stepping
from tests.soak.kinds import Kind

HOUR = 3600.0


def skips_the_read_back(state: State, observation: Observation) -> Observation:
    """Whoever was told to be protected is."""
    return otherwise(observation, state.protected, protected_until=observation.at + HOUR)


def takes_stopped_for_empty(state: State, observation: Observation) -> Observation:
    """Who takes no tasks has none."""
    return otherwise(observation, state.removal.stopped, busy_slots=0.0)


def trusts_running_count(_: State, observation: Observation) -> Observation:
    """As many run as are desired: nobody can be on the way."""
    capacity = observation.capacity
    if not isinstance(capacity, Capacity):
        return observation
    whole = replace(observation, capacity=replace(capacity, pending=0, running=capacity.desired))
    return otherwise(whole, _pending(capacity.workers), state=int(WorkerState.RUNNING), busy_slots=0.0,
                     consuming=1.0, protected_until=observation.at + HOUR)  # fmt: skip


def ignores_pending(_: State, observation: Observation) -> Observation:
    """Only who runs is a worker."""
    capacity = observation.capacity
    if not isinstance(capacity, Capacity) or capacity.workers is None:
        return observation
    workers, pending = capacity.workers, _pending(capacity.workers)
    kept = np.array([name not in pending for name in workers.ids], dtype=bool)
    columns = ("state", "created_at", "started_at", "busy_slots", "consuming", "protected_until")
    fewer = replace(
        workers,
        ids=tuple(name for name in workers.ids if name not in pending),
        hosts=tuple(
            host for name, host in zip(workers.ids, workers.hosts, strict=True) if name not in pending
        ),
        **{column: getattr(workers, column)[kept] for column in columns},
    )
    size = replace(capacity, workers=fewer, pending=0, desired=capacity.desired - len(pending))
    return replace(observation, capacity=size)


def _pending(workers: Workers | None) -> frozenset[str]:
    if workers is None:
        return frozenset()
    rows = zip(workers.ids, workers.state, strict=True)
    return frozenset(name for name, state in rows if state == WorkerState.PENDING)


def takes_an_error_for_zero(_: State, observation: Observation) -> Observation:
    """What cannot be read is nothing."""
    if not isinstance(observation.demand, Unavailable):
        return observation
    return replace(observation, demand=Demand(0, 0, observation.at))


def believes_a_part(_: State, observation: Observation) -> Observation:
    """A source of which a part has vanished is a source."""
    demand = observation.demand
    return (
        replace(observation, demand=replace(demand, whole=True))
        if isinstance(demand, Demand)
        else observation
    )


def overlooks_the_contest(_: State, observation: Observation) -> Observation:
    """Nobody else ever sets the size."""
    capacity = observation.capacity
    if not isinstance(capacity, Capacity):
        return observation
    return replace(observation, capacity=replace(capacity, contested_by=""))


def ignores_orders(_: State, observation: Observation) -> Observation:
    """The operator is not heard."""
    return replace(observation, orders=None)


def ignores_foreign_writes(
    controller: Controller, state: State, observation: Observation
) -> tuple[State, Decision]:
    """Every size is its own."""
    bold = replace(controller, respect=Respect(0.0))
    return bold.step(state._replace(ownership=Ownership()), observation)


def releases_too_early(
    controller: Controller, state: State, observation: Observation
) -> tuple[State, Decision]:
    """Who shall leave need not be protected any more."""
    after, decision = controller.step(state, observation)
    return after, replace(decision, released=decision.released | after.removal.chosen)


def lowers_too_far(controller: Controller, state: State, observation: Observation) -> tuple[State, Decision]:
    """One more will not be missed."""
    after, decision = controller.step(state, observation)
    capacity, desired = observation.capacity, decision.desired
    if desired and isinstance(capacity, Capacity) and desired < capacity.desired:
        stage = Stage("greed", desired - 1, Reason.DEMAND)
        decision = replace(decision, desired=desired - 1, trail=(*decision.trail, stage))
    return after, decision


def fails_without_workers(
    controller: Controller, state: State, observation: Observation
) -> tuple[State, Decision]:
    """There is always a first worker."""
    capacity = observation.capacity
    if isinstance(capacity, Capacity) and capacity.workers is not None:
        capacity.workers.ids[0]
    return controller.step(state, observation)


def kills_at_the_deadline(loop: TargetLoop) -> None:
    """Nobody has asked whether it may."""
    way_in = loop.controller.way_in
    if isinstance(way_in, SafeRemoval):
        configured(patience=replace(way_in.patience, kills=True))(loop)


LONG = {"task_seconds": (60.0, 2400.0)}
BUSY = {"task_seconds": (20.0, 400.0), "bursts": (1, 0, 16, 0) * 4}
IDLE_SOMETIMES = frozenset({Kind.DEMAND_FAILS, Kind.NO_SCHEDULER, Kind.DEMAND_PARTIAL})
UNANSWERED = frozenset({"size apply_late", "size reset_after", "size reset_before", "size throttle"})
UNPROTECTED = frozenset({Kind.NOT_PROTECTED, Kind.BLOCKED, Kind.LEFT_OUT, "protection answered_late"})

BUGS: Mapping[str, Bug] = {
    "skips the read-back": Bug(seeing(skips_the_read_back), UNPROTECTED, BUSY, seed=2),
    "trusts runningCount": Bug(seeing(trusts_running_count), profile=BUSY, seed=3),
    "ignores pending workers": Bug(seeing(ignores_pending), profile=BUSY),
    "treats an error as zero": Bug(seeing(takes_an_error_for_zero), IDLE_SOMETIMES, BUSY, seed=5),
    "believes a part of the load": Bug(seeing(believes_a_part), IDLE_SOMETIMES, BUSY, seed=5),
    "forgets the lease check": Bug(
        port_bugs.forgets_the_lease,
        frozenset({Kind.LEASE_LOST, Kind.SECOND}),
        {**BUSY, "leased": True},
        seed=3,
    ),
    "releases before idle": Bug(stepping(releases_too_early), profile=BUSY),
    "takes a stopped worker for an empty one": Bug(seeing(takes_stopped_for_empty), profile=BUSY, seed=2),
    "forgets how many may stop at a time": Bug(configured(stopped_share=1.0), profile=BUSY),
    "lowers by more than were released": Bug(stepping(lowers_too_far), profile=BUSY),
    "retries a lower write": Bug(port_bugs.retries_a_lower_write, UNANSWERED, BUSY, seed=7),
    "tells a secret": Bug(port_bugs.tells_secrets, frozenset({Kind.SOURCE_DEFECT})),
    "ignores foreign writes": Bug(
        stepping(ignores_foreign_writes), frozenset({Kind.FOREIGN_OUT, Kind.FOREIGN_IN}), BUSY
    ),
    "kills at the deadline unasked": Bug(kills_at_the_deadline, profile=LONG),
    "forgets the bounds": Bug(guarded(bounds=Bounds(0, 1000)), profile=BUSY),
    "ignores another autoscaler": Bug(seeing(overlooks_the_contest), frozenset({Kind.CONTESTED}), BUSY),
    "ignores a pause": Bug(seeing(ignores_orders), frozenset({Kind.PAUSED}), BUSY),
    "writes while it observes": Bug(port_bugs.writes_while_observing, profile={**BUSY, "mode": "observe"}),
    "fails where there are no workers": Bug(
        stepping(fails_without_workers), frozenset({Kind.FOREIGN_IN}), BUSY
    ),
}


def hunted(name: str) -> tuple[str, str]:
    """A bug's name, and by what it was caught; empty: it was not."""
    outcome = BUGS[name].caught()
    return name, f"seed {outcome.seed}, {outcome.broken[0]}" if outcome else ""
