"""Several targets in one world: one Airflow, one account, and for each target a service and a controller."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np

from autoscaler.core.controller import Controller
from policies.model import Decision, IntArray, Observation
from simulations.airflow import Airflow
from simulations.place import airflow_beside, together
from simulations.run import Result, Watch, check_maximum, checked_tick, result_of, simulate
from simulations.service import ServiceModel
from simulations.source import DATABASE, SourceModel
from simulations.trace import Trace, TraceError
from simulations.world import World


@dataclass(frozen=True, slots=True)
class SimTarget:
    """One worker service and who sizes it."""

    controller: Controller
    service: ServiceModel
    queues: tuple[str, ...] = ()
    """That its workers serve; empty: those that no other target names."""
    tick_seconds: float = 30.0
    source: SourceModel = DATABASE


def simulate_all(
    trace: Trace,
    targets: Mapping[str, SimTarget],
    seed: int,
    *,
    airflow: Airflow | None = None,
    on_step: Callable[[str, Observation, Decision], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> dict[str, Result]:
    """`simulate` for several targets at once; each result has the target's own tasks and workers.

    At one instant the targets look and decide in their order here.  `airflow` None: the plain one, with the
    first service's slot tail and retry delay.  A target alone that serves all queues is `simulate`'s.

    Raises as `simulate` does, `TraceError` for tasks of a queue that nobody serves, and `ValueError` for a
    queue that two targets serve, for a target without a task (see `without_tasks`), and for services that
    do not agree on their account.
    """
    if idle := without_tasks(trace, targets):
        raise ValueError(f"{trace.source}: no task is in the queues of target {idle[0]!r}; leave it out")
    rows = _rows(trace, list(targets.values()))
    if len(targets) == 1 and len(rows[0]) == len(trace):
        ((name, target),) = targets.items()
        step = None if on_step is None else lambda seen, decision: on_step(name, seen, decision)
        return {name: _alone(trace, target, seed, airflow, step, on_progress)}
    return _Together(trace, targets, rows, seed, airflow).play(on_step, on_progress)


def without_tasks(trace: Trace, targets: Mapping[str, SimTarget]) -> list[str]:
    """The targets that have nothing to do on this trace."""
    rows = _rows(trace, list(targets.values()))
    return [name for name, mine in zip(targets, rows, strict=True) if not len(mine)]


def _alone(
    trace: Trace,
    target: SimTarget,
    seed: int,
    airflow: Airflow | None,
    on_step: Callable[[Observation, Decision], None] | None,
    on_progress: Callable[[int], None] | None,
) -> Result:
    return simulate(
        trace,
        target.controller,
        target.service,
        seed,
        tick_seconds=target.tick_seconds,
        airflow=airflow,
        source=target.source,
        on_step=on_step,
        on_progress=on_progress,
    )


def _rows(trace: Trace, targets: Sequence[SimTarget]) -> list[IntArray]:
    """The rows of each target's tasks; what needs no worker and is nobody's is the first one's."""
    rest = next((number for number, target in enumerate(targets) if not target.queues), -1)
    owners = [
        next((number for number, target in enumerate(targets) if queue in target.queues), rest)
        for queue in trace.queues
    ]
    owner = np.array(owners)[trace.queue]
    unserved = (owner < 0) & (trace.slots > 0)
    if unserved.any():
        queue = trace.queues[trace.queue[np.flatnonzero(unserved)[0]]]
        count = int((trace.queue[unserved] == trace.queues.index(queue)).sum())
        raise TraceError(
            f"{trace.source}: {count} tasks are in the queue {queue!r}, which no target serves; add it to a "
            "target's queues, or play one target alone"
        )
    return [np.flatnonzero(np.maximum(owner, 0) == number) for number in range(len(targets))]


class _Together:
    """One run."""

    def __init__(
        self,
        trace: Trace,
        targets: Mapping[str, SimTarget],
        rows: list[IntArray],
        seed: int,
        airflow: Airflow | None,
    ) -> None:
        self._trace, self._targets, self._rows, self._seed = trace, targets, rows, seed
        all_targets = list(targets.values())
        for target in all_targets:
            check_maximum(target.controller.guards.bounds.maximum)
        rules = airflow_beside(all_targets[0].service, airflow)
        places = together(trace, [(each.queues, each.service) for each in all_targets], rules, seed)
        self._minima = [each.controller.guards.bounds.minimum for each in all_targets]
        self._worlds = [
            World(
                trace,
                target.service,
                seed,
                workers=minimum,
                source=target.source,
                place=place,
                tells_work_left=target.controller.way_in.weighs_work,
            )
            for target, minimum, place in zip(all_targets, self._minima, places, strict=True)
        ]

    def play(
        self,
        on_step: Callable[[str, Observation, Decision], None] | None,
        on_progress: Callable[[int], None] | None,
    ) -> dict[str, Result]:
        """Every target ticks until all tasks have ended and all fleets are at their minimum."""
        names, targets, worlds = list(self._targets), list(self._targets.values()), self._worlds
        watch = Watch(worlds, self._trace, self._minima, on_progress)
        states = [target.controller.initial() for target in targets]
        looks = [(self._trace.starts_at, number) for number in range(len(targets))]
        heapify(looks)
        while True:
            at, number = heappop(looks)
            target, world = targets[number], worlds[number]
            observation = world.observe(at)
            states[number], decision = target.controller.step(states[number], observation)
            if on_step is not None:
                on_step(names[number], observation, decision)
            before = world.desired
            world.apply(decision)
            if watch.over(before, number):
                break
            heappush(looks, (at + checked_tick(target.tick_seconds), number))
        return {name: self._result(number, watch) for number, name in enumerate(names)}

    def _result(self, number: int, watch: Watch) -> Result:
        target, rows = list(self._targets.values())[number], self._rows[number]
        return result_of(
            self._trace.at_rows(rows),
            target.service,
            self._seed,
            checked_tick(target.tick_seconds),
            self._worlds[number],
            watch.moves[number],
            settled=watch.settled(number),
            rows=rows,
        )
