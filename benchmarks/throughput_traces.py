"""The workloads of `throughput.py`, and ours on them."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds, GuardChain
from policies.lull import Lull
from policies.mwaa import Mwaa, ScaleIn
from simulations.airflow import Airflow
from simulations.kernel import Kernel
from simulations.run import simulate
from simulations.service import ServiceModel
from simulations.trace import Trace, trace_of

SEED, SLOTS, TICK_SECONDS, BUSY_SLOTS, MEAN_SECONDS = 2026, 5, 30.0, 200, 30.0
Started = tuple[np.ndarray, int]
"""Start times by row, and how many looks there were."""


def _columns(tasks: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(SEED)
    queued_at = np.cumsum(rng.exponential(MEAN_SECONDS / BUSY_SLOTS, tasks))
    return queued_at, 1 + rng.exponential(MEAN_SECONDS - 1, tasks)


def plain(tasks: int) -> Trace:
    """Independent tasks, a mean of 200 at a time."""
    return trace_of(*_columns(tasks), starts_at=0.0, keys=range(tasks))


def plain_file(tasks: int, path: Path) -> None:
    """The same with keys as Airflow's, in Parquet."""
    queued_at, duration = _columns(tasks)
    keys = "dag.task.run-" + pl.Series(range(tasks)).cast(pl.String)
    frame = pl.DataFrame({"task_key": keys, "queued_at": queued_at, "duration_s": duration})
    frame.write_parquet(path)


def dag(tasks: int) -> Trace:
    """Runs of ten: one, then eight side by side, then one that waits for them."""
    rng = np.random.default_rng(SEED)
    runs = tasks // 10
    starts = np.cumsum(rng.exponential(10 * MEAN_SECONDS / BUSY_SLOTS, runs))
    first = 10 * np.arange(runs)[:, None]
    middle = first + np.arange(1, 9)
    parents = np.concatenate([np.broadcast_to(first, middle.shape).ravel(), middle.ravel()])
    children = np.concatenate([middle.ravel(), np.broadcast_to(first + 9, middle.shape).ravel()])
    length = 1 + rng.exponential(MEAN_SECONDS - 1, 10 * runs)
    keys = range(10 * runs)
    return trace_of(np.repeat(starts, 10), length, edges=(parents, children), starts_at=0.0, keys=keys)


def month(tasks: int) -> Trace:
    """A fifth of the tasks over 30 days, which is 6,700 a day where the others have a million."""
    rng, tasks = np.random.default_rng(SEED), tasks // 5
    queued_at = np.sort(rng.uniform(0, 30 * 86_400, tasks))
    return trace_of(queued_at, 1 + rng.exponential(300, tasks), starts_at=0.0, keys=range(tasks))


def controller(scale_in: ScaleIn = ScaleIn.WHEN_IDLE) -> Controller:
    """MWAA's formula behind the default guards."""
    return Controller(Mwaa(SLOTS, scale_in), GuardChain(Bounds(1, 100)), Watch(SLOTS, 100))


def whole(
    trace: Trace,
    place: Path,
    scale_in: ScaleIn = ScaleIn.WHEN_IDLE,
    tick: float = TICK_SECONDS,
    *,
    every_tick: bool = True,
    airflow: Airflow | None = None,
) -> Started:
    """Ours with the whole controller; leaves the fleet's timetable behind."""
    watching: dict[str, Callable[..., Any]] = {"on_step": lambda *_: None} if every_tick else {}
    result = simulate(
        trace, controller(scale_in), ServiceModel(SLOTS), SEED, tick_seconds=tick, airflow=airflow, **watching
    )
    np.save(place / "fleet.npy", np.stack([result.created_at, result.ready_at, result.stopped_at], axis=1))
    return result.started_at, result.ticks


def always(trace: Trace, place: Path) -> Started:
    """Ours with a fleet that is there from the beginning and stays; leaves its timetable behind."""
    workers = 1 + BUSY_SLOTS // SLOTS
    np.save(place / "fleet.npy", np.tile([0.0, 0.0, np.inf], (workers, 1)))
    return kernel(trace, place)


def kernel(trace: Trace, place: Path, *, every_tick: bool = True) -> Started:
    """Ours without a controller: a look every tick, then workers come and go by the timetable.

    Unless `every_tick`, looks at which nobody waits and nobody comes or goes are passed over.
    """
    fleet = np.load(place / "fleet.npy").tolist()
    world, at, ticks = Kernel(trace, slots_per_worker=SLOTS), 0.0, 0
    seen, coming, leaving = 0, deque(fleet), []
    while True:
        world.advance(at)
        seen, ticks = seen + world.queued_slots, ticks + 1
        if not world.unfinished:
            return world.started_at, ticks
        while coming and coming[0][0] <= at:
            _, ready_at, stopped_at = coming.popleft()
            heapq.heappush(leaving, (stopped_at, world.launch(ready_at)))
        while leaving and leaving[0][0] <= at:
            world.stop(heapq.heappop(leaving)[1])
        at += TICK_SECONDS
        if not every_tick:
            changes_at = min(coming[0][0] if coming else np.inf, leaving[0][0] if leaving else np.inf)
            looks = world.rest(at, TICK_SECONDS, Lull(0, 2**40, changes_at), 0.0).looks
            at, ticks = at + looks * TICK_SECONDS, ticks + looks
