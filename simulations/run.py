"""One controller against one trace, tick by tick, until all is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoscaler.core.controller import Controller
from autoscaler.core.lull import lull_after, rested
from policies.lull import Lull
from policies.model import Decision, FloatArray, IntArray, Observation
from simulations.airflow import Airflow
from simulations.service import ServiceModel
from simulations.source import DATABASE, SourceModel
from simulations.trace import Trace, quantised
from simulations.world import World

DAY = 86_400.0
PATIENCE_SECONDS = 8 * DAY
"""If no task ends for longer (and the longest task), none ever will: a weekly schedule has come round."""
FOR_EVER_SECONDS = 1e9
"""Thirty years: finite, so that a mean of it can be told."""
TICKS_A_TELLING = 64
"""How often progress is told."""
SETTLING_SECONDS = DAY
"""How long after the last task the fleet may take to come back to its minimum."""


class SimulationError(Exception):
    """The run cannot end; one line says why and what to change."""


class TooWideError(SimulationError):
    """A task that fits on no worker: wrong input, whatever the fleet does."""


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What happened.  A row a task, in the trace's order; then a row a worker, in launch order."""

    trace: Trace
    service: ServiceModel
    seed: int
    tick_seconds: float
    queued_at: FloatArray
    """When the task was queued, the last time if it was lost; instants are Unix seconds."""
    started_at: FloatArray
    ended_at: FloatArray
    """NaN: it never did, because Airflow gave it up or skipped it."""
    waited_seconds: FloatArray
    """Time in the queue, over all tries; from being scheduled to the start where an Airflow is modelled."""
    created_at: FloatArray
    ready_at: FloatArray
    stopped_at: FloatArray
    """Workers that ran to the end are stopped there."""
    finished_at: float
    """When the run ended."""
    killed_tasks: int
    """Task tries lost with their worker."""
    lost_slot_seconds: float
    """Work that was lost with them."""
    failed_tasks: int
    """Tasks that Airflow gave up ..."""
    skipped_tasks: int
    """... and those that never ran because of them."""
    reclaimed_workers: int
    """Workers that Spot took away ..."""
    retired_workers: int
    """... whose host was retired ..."""
    given_up_workers: int
    """... and that never started."""
    scale_outs: int
    scale_ins: int
    peak_workers: int
    ticks: int
    settled: bool
    """Whether the fleet came back to its minimum."""

    @property
    def waits_of_finished(self) -> FloatArray:
        """The waits of the tasks that wanted a worker and ended."""
        if self.trace.slots.min() > 0:
            return self._of_finished(self.waited_seconds)
        return self.waited_seconds[(self.trace.slots > 0) & ~np.isnan(self.ended_at)]

    def of_waiters(self, column: NDArray[Any]) -> NDArray[Any]:
        """The column's rows of the tasks that want a worker; others wait for nobody."""
        return column if self.trace.slots.min() > 0 else column[self.trace.slots > 0]

    @property
    def promised_waits(self) -> FloatArray:
        """The waits of all tasks, by which a promise is judged; one that never ended waited for ever."""
        if not (self.failed_tasks or self.skipped_tasks):
            return self.waited_seconds
        return np.where(np.isnan(self.ended_at), FOR_EVER_SECONDS, self.waited_seconds)

    @property
    def worked_slot_seconds(self) -> float:
        """Slot time of the tasks that ended, and of what was lost with its worker."""
        duration, slots = self.trace.duration_seconds, self.trace.slots
        return float(self._of_finished(duration) @ self._of_finished(slots)) + self.lost_slot_seconds

    def _of_finished(self, column: NDArray[Any]) -> NDArray[Any]:
        all_ended = not (self.failed_tasks or self.skipped_tasks)
        return column if all_ended else column[~np.isnan(self.ended_at)]


def simulate(
    trace: Trace,
    controller: Controller,
    service: ServiceModel,
    seed: int,
    *,
    tick_seconds: float = 30.0,
    airflow: Airflow | None = None,
    source: SourceModel = DATABASE,
    on_step: Callable[[Observation, Decision], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
    check: Callable[[World], None] | None = None,
) -> Result:
    """Ticks from the trace's start until every task has ended and the fleet is at its minimum again.

    The fleet starts at the controller's minimum.  `on_step` sees every tick, and `check` the world at it;
    without both, ticks that cannot change anything are passed over, with the same results.  `on_progress`
    is told now and then how many tasks have ended.  Raises `SimulationError` if some task can never run,
    and `ValueError` for a tick that is not positive.
    """
    tick_seconds = checked_tick(tick_seconds)
    bounds = controller.guards.bounds
    check_maximum(bounds.maximum)
    check_widest(trace, service.slots_per_worker)
    world = World(
        trace,
        service,
        seed,
        workers=bounds.minimum,
        airflow=airflow,
        source=source,
        tells_work_left=controller.way_in.weighs_work,
    )
    watch = Watch([world], trace, [bounds.minimum], on_progress)
    state, at, fleet = controller.initial(), trace.starts_at, world.fleet
    while True:
        observation = world.observe(at)
        if check is not None:
            check(world)
        state, decision = controller.step(state, observation)
        if on_step is not None:
            on_step(observation, decision)
        before = fleet.desired
        world.apply(decision)
        if watch.over(before):
            break
        at += tick_seconds
        unseen = on_step is None and check is None
        lull = lull_after(controller, state, decision) if unseen else None
        if lull is not None and (looks := watch.rest(at, tick_seconds, lull)):
            state = rested(controller, state, world.now)
            at += looks * tick_seconds
    return result_of(trace, service, seed, tick_seconds, world, watch.moves[0], settled=watch.settled(0))


@dataclass(slots=True)
class Moves:
    """What a target's controller did so far."""

    peak_workers: int
    scale_outs: int = 0
    scale_ins: int = 0
    ticks: int = 0


class Watch:
    """Counts what the results name, and knows when to stop."""

    def __init__(
        self,
        worlds: Sequence[World],
        trace: Trace,
        minima: Sequence[int],
        on_progress: Callable[[int], None] | None,
    ) -> None:
        """`minima`: how many workers each target comes back to."""
        self._worlds, self._minima, self._on_progress = worlds, minima, on_progress
        self._kernel, self._tasks = worlds[0].kernel, len(trace)
        self._patience_seconds = PATIENCE_SECONDS + float(trace.duration_seconds.max())
        self._last_queued_at = trace.starts_at + float(trace.queued_at.max())
        self._unfinished, self._progressed_at = len(trace), self._kernel.now
        self.moves = [Moves(world.size) for world in worlds]

    def over(self, before: int, number: int = 0) -> bool:
        """Whether the run has ended, after a tick of that target; `before`: its desired count until then.

        Raises `SimulationError` if it never will.
        """
        kernel, moves, world = self._kernel, self.moves[number], self._worlds[number]
        moves.ticks += 1
        desired = world.fleet.desired
        if desired != before:
            moves.scale_outs += desired > before
            moves.scale_ins += desired < before
            moves.peak_workers = max(moves.peak_workers, world.size)
        unfinished, now = kernel.unfinished, kernel.now
        if unfinished < self._unfinished:
            self._unfinished, self._progressed_at = unfinished, now
            if self._on_progress is not None and moves.ticks % TICKS_A_TELLING == 0:
                self._on_progress(self._tasks - unfinished)
        if unfinished:
            self._check_alive(now)
            return False
        settled = all(self.settled(each) for each in range(len(self._worlds)))
        return settled or now - self._progressed_at >= SETTLING_SECONDS

    def settled(self, number: int) -> bool:
        """Whether the target's fleet is at its minimum."""
        world, minimum = self._worlds[number], self._minima[number]
        return world.desired <= minimum and world.size <= minimum

    def rest(self, at: float, tick_seconds: float, lull: Lull) -> int:
        """Passes over the ticks from `at` on that show nothing new; how many.  For a target alone."""
        # Who waits in vain shall be found out at the same tick.
        lull = lull._replace(until=min(lull.until, self._progressed_at + self._patience_seconds))
        rest, moves = self._worlds[0].rest(at, tick_seconds, lull, self._last_queued_at), self.moves[0]
        if rest.looks:
            told, moves.ticks = moves.ticks // TICKS_A_TELLING, moves.ticks + rest.looks
            if self._on_progress is not None and moves.ticks // TICKS_A_TELLING > told:
                self._on_progress(self._tasks - rest.unfinished)
            self._unfinished = rest.unfinished
            if rest.progressed_at is not None:
                self._progressed_at = rest.progressed_at
        return rest.looks

    def _check_alive(self, now: float) -> None:
        if now <= self._last_queued_at and not any(world.wanted_slots for world in self._worlds):
            self._progressed_at = now  # the trace itself is quiet
        waited = now - self._progressed_at
        if waited > self._patience_seconds:
            worlds = self._worlds
            wanted = sum(world.waiting_slots for world in worlds)
            size, desired = sum(world.size for world in worlds), sum(world.desired for world in worlds)
            raise SimulationError(
                f"no task has ended for {waited / DAY:.0f} days of simulated time: {self._unfinished} of "
                f"{self._tasks} are left, {wanted} slots are wanted, {size} workers exist and {desired} are "
                "desired; let the policy ask for workers, or keep those it has"
            )


def checked_tick(tick_seconds: float) -> float:
    """As the world can tell it.  Raises `ValueError` for one that is not positive."""
    if not (isfinite(tick_seconds) and quantised(tick_seconds) > 0):
        raise ValueError(f"a tick must be longer than 0 s, got {tick_seconds:g}")
    return quantised(tick_seconds)


def check_maximum(maximum: int) -> None:
    """Raises `SimulationError` for a fleet of nobody."""
    if maximum < 1:
        raise SimulationError(f"the maximum is {maximum} workers: no task can ever run; give at least 1")


def check_widest(trace: Trace, slots_per_worker: int) -> None:
    """Raises `TooWideError` for a task that fits on no worker."""
    widest = int(np.argmax(trace.slots))
    if trace.slots[widest] > slots_per_worker:
        raise TooWideError(
            f"{trace.source}: row {widest + 1}, column slots: task {trace.keys[widest]!r} wants "
            f"{trace.slots[widest]}, a worker has {slots_per_worker}: it can never run; "
            "give more slots per worker"
        )


def result_of(
    trace: Trace,
    service: ServiceModel,
    seed: int,
    tick_seconds: float,
    world: World,
    moves: Moves,
    *,
    settled: bool,
    rows: IntArray | None = None,
) -> Result:
    """What happened in the world of one target.

    `rows`: its tasks among those of the kernel, None if it has them all.  Raises `SimulationError` if no
    task ended.
    """
    kernel, fleet = world.kernel, world.fleet
    stopped_at = np.array(world.stopped_at, dtype=float)
    failed, skipped = kernel.failed_tasks, kernel.skipped_tasks
    queued_at, started_at, ended_at, waited = (
        column if rows is None else column[rows]
        for column in (kernel.queued_at, kernel.started_at, kernel.ends_at, kernel.waited_seconds)
    )
    if rows is not None and (failed or skipped):
        never = np.isnan(ended_at)
        skipped = int((never & np.isnan(queued_at)).sum())
        failed = int(never.sum()) - skipped
    wanting = trace.slots > 0
    if not wanting.any():
        raise SimulationError(f"{trace.source}: no task wants a worker (slots are all 0): nothing to size")
    if np.isnan(ended_at[wanting]).all():
        raise SimulationError(
            f"Airflow gave up every task: {failed} waited too long for a worker, or were lost too often; let "
            "the policy ask for more workers"
        )
    return Result(
        trace=trace,
        service=service,
        seed=seed,
        tick_seconds=tick_seconds,
        queued_at=queued_at,
        started_at=started_at,
        ended_at=ended_at,
        waited_seconds=waited,
        created_at=np.array(world.created_at, dtype=float),
        ready_at=np.array(world.ready_at, dtype=float),
        stopped_at=np.where(np.isnan(stopped_at), world.now, stopped_at),
        finished_at=world.now,
        killed_tasks=fleet.killed_tasks,
        lost_slot_seconds=fleet.lost_slot_seconds,
        failed_tasks=failed,
        skipped_tasks=skipped,
        reclaimed_workers=fleet.reclaimed_workers,
        retired_workers=fleet.retired_workers,
        given_up_workers=fleet.given_up_workers,
        scale_outs=moves.scale_outs,
        scale_ins=moves.scale_ins,
        peak_workers=moves.peak_workers,
        ticks=moves.ticks,
        settled=settled,
    )
