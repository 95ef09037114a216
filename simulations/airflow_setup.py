"""A trace and an Airflow as the flat arrays that the compiled events work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.model import FloatArray, IntArray
from simulations import airflow_state as places
from simulations.airflow import Airflow, QueueOrder, WorkerChoice
from simulations.airflow_limits import UNLIMITED, limits_of, named, runs_of
from simulations.airflow_state import NEVER, NOBODY, Arrays, NumberArray
from simulations.parents import children_of
from simulations.trace import QUANTA_PER_SECOND, Trace, is_constant

_CHOICES = {
    WorkerChoice.ROTATION: places.ROTATION,
    WorkerChoice.FIRST_FIT: places.FIRST_FIT,
    WorkerChoice.RANDOM: places.RANDOM,
}
FEWEST_WORKERS = 64


@dataclass(frozen=True, slots=True)
class LineSpec:
    """One target: the queues that its workers serve (none named: all that no other line serves)."""

    queues: tuple[str, ...]
    slots_per_worker: int


@dataclass(frozen=True, slots=True, eq=False)
class Luck:
    """All that is left to chance, by task: the same for each of its tries, whatever the fleet does."""

    phase: int
    """Quanta from the trace's start to the scheduler's first loop."""
    delays: NumberArray
    """Quanta: rows schedule delay, start delay, first task's penalty, slot tail; a column a task, or one
    column for all where nothing varies."""
    lots: FloatArray
    """From 0 to 1, for a worker chosen by lot; one value where nobody asks."""


def luck_of(airflow: Airflow, tasks: int, seed: int) -> Luck:
    """Each kind of luck has a stream of its own, so that a change of one does not change another."""
    root = np.random.SeedSequence(seed, spawn_key=(1_000_000,))
    streams = [np.random.default_rng(each) for each in root.spawn(6)]
    kinds = (airflow.schedule_delay, airflow.start_delay, airflow.first_task_penalty, airflow.slot_tail)
    columns = 1 if all(kind.constant for kind in kinds) else tasks
    delays = np.empty((len(kinds), columns), dtype=np.int32)
    for row, (kind, stream) in enumerate(zip(kinds, streams, strict=False)):
        seconds = np.array(kind.seconds[0]) if kind.constant else kind.draw(stream, tasks)
        delays[row] = np.rint(seconds * QUANTA_PER_SECOND)
    period = round(airflow.loop_period_seconds * QUANTA_PER_SECOND)
    by_lot = airflow.worker_choice is WorkerChoice.RANDOM
    return Luck(
        phase=int(streams[4].integers(period)) if period else 0,
        delays=delays,
        lots=streams[5].random(tasks) if by_lot else np.zeros(1),
    )


def arrays_of(trace: Trace, airflow: Airflow, lines: Sequence[LineSpec], luck: Luck) -> Arrays:
    """The arrays before the first event, for no workers."""
    tasks = len(trace)
    roots, first_child, children, waits_for = _edges(trace)
    queue, queues, line_rows = _queues(trace, lines)
    limits, runs = limits_of(trace, airflow), runs_of(trace, airflow)
    outcome = np.full((4, tasks), np.nan)
    outcome[places.WAITED] = 0.0
    counted = airflow.retries is not None or airflow.queued_timeout_seconds is not None
    ordered = airflow.queue_order is QueueOrder.ARRIVAL and queues.shape[1] > len(lines)
    none = Arrays(
        state=_state(trace, airflow, luck, roots),
        queued_seconds=_plain(trace.queued_at, np.float64),
        duration_seconds=_plain(trace.duration_seconds, np.float64),
        slots=_plain(trace.slots, np.int64),
        queue=queue,
        delay=np.rint(_compact(trace.delay_seconds, np.float64) * QUANTA_PER_SECOND).astype(np.int64),
        limits=limits.limits,
        run=runs.run,
        order=roots,
        first_child=first_child,
        children=children,
        waits_for=waits_for,
        rank=_rank(trace, airflow),
        luck=luck.delays,
        lots=luck.lots,
        links=np.empty((2, tasks), dtype=np.int32),
        counts=np.zeros((2, tasks if counted else 0), dtype=np.int32),
        sequence=np.zeros(tasks if ordered else 0, dtype=np.int64),
        worker=np.full(tasks, NOBODY, dtype=np.int32),
        outcome=outcome,
        agenda=np.empty((0, 2), dtype=np.int64),
        classes=limits.classes,
        class_tree=np.full(2 << (limits.classes.shape[1] - 1).bit_length(), NEVER),
        pools=limits.pools,
        owners=limits.owners,
        runs=runs.runs,
        dags=runs.dags,
        queues=queues,
        lines=line_rows,
        workers=np.zeros((7, len(lines), 0), dtype=np.int64),
        worker_tree=np.empty((len(lines), 0), dtype=np.int64),
        joined=np.empty(0, dtype=np.int64),
    )
    return with_workers(none, FEWEST_WORKERS)


def with_workers(arrays: Arrays, count: int) -> Arrays:
    """The same with room for at least so many workers in each line."""
    old, lines = arrays.workers.shape[2], arrays.workers.shape[1]
    half = 1 << (count - 1).bit_length()
    workers = np.zeros((len(arrays.workers), lines, half), dtype=np.int64)
    workers[:, :, :old] = arrays.workers
    tree = np.full((lines, 2 * half), NEVER)
    tree[:, half : half + old] = arrays.worker_tree[:, arrays.worker_tree.shape[1] >> 1 :]
    level = half
    while level > 1:
        level >>= 1
        tree[:, level : 2 * level] = np.minimum(
            tree[:, 2 * level : 4 * level : 2], tree[:, 2 * level + 1 : 4 * level : 2]
        )
    # A task has at most its start and its end on the agenda, a worker the instant at which it is ready.
    agenda = np.empty((2 * len(arrays.slots) + lines * half, 2), dtype=np.int64)
    planned = arrays.state[places.PLANNED]
    agenda[:planned] = arrays.agenda[:planned]
    joined = np.empty(lines * half, dtype=np.int64)
    joined[: len(arrays.joined)] = arrays.joined
    return arrays._replace(workers=workers, worker_tree=tree, agenda=agenda, joined=joined)


def _state(trace: Trace, airflow: Airflow, luck: Luck, roots: NumberArray) -> IntArray:
    def quanta(seconds: float | None) -> int:
        return NEVER if seconds is None else round(seconds * QUANTA_PER_SECOND)

    state = np.zeros(places.STATE_SIZE, dtype=np.int64)
    period = quanta(airflow.loop_period_seconds)
    for place, value in {
        places.UNFINISHED: len(trace),
        places.ARRIVES_AT: int(trace.queued_at[roots[0]] * QUANTA_PER_SECOND),
        places.OPENED_AT: NEVER,
        places.LOOP_AT: NEVER,
        places.LOOPED_AT: -period,
        places.TIMES_OUT_AT: NEVER,
        places.FRESH_TASKS: NOBODY,
        places.OPEN_PARALLELISM: UNLIMITED if airflow.parallelism is None else airflow.parallelism,
        places.LOOP_PERIOD: period,
        places.LOOP_PHASE: luck.phase,
        places.QUEUED_PER_LOOP: UNLIMITED if airflow.queued_per_loop is None else airflow.queued_per_loop,
        places.HEARTBEAT_TIMEOUT: quanta(airflow.heartbeat_timeout_seconds),
        places.RETRY_DELAY: quanta(airflow.retry_delay_seconds),
        places.RETRIES: NEVER if airflow.retries is None else airflow.retries,
        places.QUEUED_TIMEOUT: quanta(airflow.queued_timeout_seconds),
        places.REQUEUES: airflow.requeues,
        places.ROUND_ROBIN: airflow.queue_order is QueueOrder.ROUND_ROBIN,
        places.CHOICE: _CHOICES[airflow.worker_choice],
    }.items():
        state[place] = value
    return state


def _edges(trace: Trace) -> tuple[NumberArray, IntArray, IntArray, IntArray]:
    """(tasks without parents by arrival, first child, children, number of parents)."""
    tasks, nothing = len(trace), np.empty(0, dtype=np.int64)
    roots, queued_seconds = np.arange(tasks, dtype=np.int32), trace.queued_at
    first_child = children = waits_for = nothing
    if len(trace.edge_child):
        first_child, children = children_of(tasks, trace.edge_parent, trace.edge_child)
        waits_for = np.bincount(trace.edge_child, minlength=tasks)
        roots = np.flatnonzero(waits_for == 0).astype(np.int32)
        queued_seconds = queued_seconds[roots]
    if np.any(queued_seconds[1:] < queued_seconds[:-1]):
        roots = roots[np.argsort(queued_seconds, kind="stable")]
    return roots, first_child, children, waits_for


def _queues(trace: Trace, lines: Sequence[LineSpec]) -> tuple[NumberArray, IntArray, IntArray]:
    """(queue by task, queues, lines): the queues of a line stand together, in its own order."""
    named = [name for line in lines for name in line.queues]
    rest = tuple(name for name in trace.queues if name not in named)
    served = [line.queues or rest for line in lines]
    rows = np.zeros((3, sum(map(len, served))), dtype=np.int64)
    rows[places.HEAD] = rows[places.END] = NOBODY
    line_rows = np.zeros((8, len(lines)), dtype=np.int64)
    number = np.full(len(trace.queues), NOBODY, dtype=np.int32)
    first = 0
    for line, names in enumerate(served):
        rows[places.LINE, first : first + len(names)] = line
        line_rows[places.FIRST_QUEUE, line], line_rows[places.QUEUES, line] = first, len(names)
        line_rows[places.LAST_SERVED, line] = len(names) - 1
        for place, name in enumerate(names):
            if name in trace.queues:
                number[trace.queues.index(name)] = first + place
        first += len(names)
    queue = number[:1] if len(trace.queues) == 1 else number[trace.queue]
    return np.maximum(queue, 0), rows, line_rows


def _rank(trace: Trace, airflow: Airflow) -> NumberArray:
    """By priority, then the run's start, then row; empty if that is the order of the rows."""
    nothing = np.empty(0, dtype=np.int32)
    if not airflow.by_priority:
        return nothing
    start = trace.queued_at
    if not is_constant(trace.run):
        first = np.full(len(trace.runs), np.inf)
        np.minimum.at(first, trace.run, start)
        start = np.where(named(trace.runs)[trace.run], first[trace.run], start)
    if is_constant(trace.priority):
        if np.all(start[1:] >= start[:-1]):
            return nothing
        order = np.argsort(start, kind="stable")
    else:
        order = np.lexsort((start, -trace.priority.astype(np.int64)))
    rank = np.empty(len(trace), dtype=np.int32)
    rank[order] = np.arange(len(trace), dtype=np.int32)
    return rank


def _plain(column: NDArray[Any], dtype: type) -> NDArray[Any]:
    """The column as compiled code expects it: contiguous, writeable, of exactly this type."""
    return np.require(column, dtype, ["C", "W"])


def _compact(column: NDArray[Any], dtype: type) -> NDArray[Any]:
    """The same; of a constant column one value."""
    return np.array(column[:1] if is_constant(column) else column, dtype=dtype)
