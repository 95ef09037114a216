"""The task trace in memory: frozen columns, one row a task try, and what must hold of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autoscaler.core.plain import OneLineError
from policies.model import FloatArray, IntArray
from simulations.parents import cycle

QUANTA_PER_SECOND = 65_536
"""Times are multiples of 2^-16 s (15 us): then their sums are exact in a float for 4,000 years, so that
results are equal to the last bit whatever the order in which they were computed."""
MONDAY = 1_704_067_200.0
"""2024-01-01 00:00 UTC, a Monday: where a trace without dates begins, so that schedules mean something."""
LONGEST_SECONDS = 1e9
"""Thirty years: a longer time in a trace is a mistake of units."""
DEFAULT_POOL = "default_pool"
"""Airflow's pool for tasks that name none."""

CodeArray = NDArray[np.int32]
"""Numbers of names, and other small whole numbers."""


class Rows(Protocol):
    """Values by row: an array, a list, a column of a file."""

    def __getitem__(self, row: int, /) -> Any: ...


class TraceError(OneLineError):
    """The trace cannot be used; one line names file, row, column and what was expected."""


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Tasks in input order.  All columns have the length of `keys`; build one with `trace_of`."""

    source: str
    """Where it came from: what an error names."""
    starts_at: float
    """Unix seconds of the trace's zero."""
    keys: Sequence[str]
    queued_at: FloatArray
    """Seconds from the trace's zero; with parents the earliest start with unlimited workers."""
    duration_seconds: FloatArray
    slots: IntArray
    """Worker slots the task holds; 0: it needs no worker (an empty operator, a deferred stretch)."""
    queue: IntArray
    """A number in `queues`."""
    queues: tuple[str, ...]
    """Names of the worker queues; the empty name is Airflow's default queue."""
    edge_parent: IntArray
    """Row of an edge's parent ..."""
    edge_child: IntArray
    """... and of its child."""
    delay_seconds: FloatArray
    """From the last parent's end until the task is ready: a retry's delay, a sensor's interval."""
    dag: CodeArray
    """A number in `dags`."""
    dags: Sequence[str]
    """Names of the DAGs; the empty name is no DAG, which nothing limits."""
    run: CodeArray
    """A number in `runs`."""
    runs: Sequence[str]
    """Names of the DAG runs; the empty name is no run."""
    pool: CodeArray
    """A number in `pools`."""
    pools: Sequence[str]
    pool_slots: CodeArray
    """Pool slots the task holds from queued to end."""
    priority: CodeArray
    """Airflow's priority weight: higher first."""
    observed_wait_seconds: FloatArray
    """The wait that the recorded system showed; NaN: not known."""

    def __len__(self) -> int:
        return len(self.queued_at)

    @property
    def is_plain(self) -> bool:
        """Whether the plain queue can play it: every task needs a worker, and nothing is delayed."""
        return bool(self.slots.min() > 0) and not self.delay_seconds.any()

    def of_queue(self, name: str) -> Trace:
        """The tasks of one queue.  Raises `TraceError` if there are none.

        A parent in another queue drops out: it counts as never having waited, which is what
        `queued_at` says.
        """
        if name not in self.queues:
            known = ", ".join(repr(queue) for queue in self.queues[:10])
            raise TraceError(f"{self.source}: there is no queue {name!r}; it has {known}")
        rows = np.flatnonzero(self.queue == self.queues.index(name))
        part = self.at_rows(rows)
        return replace(part, queue=np.zeros(len(rows), dtype=np.int64), queues=(name,))

    def at_rows(self, rows: IntArray) -> Trace:
        """Some of the tasks, and the edges between them."""
        place = np.full(len(self), -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        parent, child = place[self.edge_parent], place[self.edge_child]
        kept = (parent >= 0) & (child >= 0)
        columns: dict[str, Any] = {
            each.name: chosen(column, rows)
            for each in fields(self)
            if each.name not in {"edge_parent", "edge_child"}
            and isinstance(column := getattr(self, each.name), np.ndarray)
        }
        return replace(
            self,
            keys=_Chosen(self.keys, rows),
            edge_parent=parent[kept],
            edge_child=child[kept],
            **columns,
        )


def is_constant(column: NDArray[Any]) -> bool:
    """Whether the column is one value, kept once whatever its length."""
    return column.strides == (0,)


def chosen(column: NDArray[Any], rows: IntArray) -> NDArray[Any]:
    """Some rows of a column; a constant one stays one."""
    return np.broadcast_to(column[:1].reshape(()), len(rows)) if is_constant(column) else column[rows]


class _Chosen(Sequence[str]):
    """Some of the keys, looked up when asked for."""

    def __init__(self, keys: Sequence[str], rows: IntArray) -> None:
        self._keys, self._rows = keys, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> str:  # type: ignore[override]  # one key at a time
        return self._keys[int(self._rows[number])]


def quantised(seconds: float) -> float:
    """The nearest time the world can tell apart."""
    return round(seconds * QUANTA_PER_SECOND) / QUANTA_PER_SECOND


def trace_of(
    queued_at: ArrayLike,
    duration_seconds: ArrayLike,
    *,
    slots: ArrayLike | None = None,
    queue: ArrayLike | None = None,
    queues: tuple[str, ...] = ("",),
    edges: tuple[ArrayLike, ArrayLike] = ((), ()),
    delay_seconds: ArrayLike = 0.0,
    dag: ArrayLike = 0,
    dags: Sequence[str] = ("",),
    run: ArrayLike = 0,
    runs: Sequence[str] = ("",),
    pool: ArrayLike = 0,
    pools: Sequence[str] = (DEFAULT_POOL,),
    pool_slots: ArrayLike = 1,
    priority: ArrayLike = 1,
    observed_wait_seconds: ArrayLike = np.nan,
    keys: Sequence[str] | None = None,
    source: str = "trace",
    starts_at: float = MONDAY,
) -> Trace:
    """A trace of these columns; `edges` are the rows of (parents, children); one number is a constant column.

    Raises `TraceError` for an empty trace, for times that are negative, not finite or beyond
    `LONGEST_SECONDS`, for slots below 0, pool slots below 1, and for a cycle.
    """
    queued, duration = np.asarray(queued_at, dtype=float), np.asarray(duration_seconds, dtype=float)
    if not len(queued):
        raise TraceError(f"{source}: holds no task; expected one row a task")
    taken = np.ones(len(queued)) if slots is None else np.asarray(slots, dtype=float)
    for column, values in (("queued_at", queued), ("duration_s", duration)):
        refuse(source, column, values, ~((values >= 0) & (values <= LONGEST_SECONDS)), "seconds, 0 to 1e9")
    whole = (taken >= 0) & (taken == np.rint(taken)) & (taken < 2**31)
    refuse(source, "slots", taken, ~whole, "a whole number, at least 0")
    delay = _seconds(source, "delay_s", delay_seconds, len(queued))
    wait = _seconds(source, "wait_s", observed_wait_seconds, len(queued), unknown=True)
    keys = [str(row + 1) for row in range(len(queued))] if keys is None else keys
    parent, child = np.asarray(edges[0], dtype=np.int64), np.asarray(edges[1], dtype=np.int64)
    if (ring := cycle(len(queued), parent, child)) is not None:
        names = " -> ".join(repr(keys[row]) for row in ring[:10])
        raise TraceError(f"{source}: row {ring[0] + 1}, column parents: a cycle, {names}; expected none")
    return Trace(
        source=source,
        starts_at=quantised(starts_at),
        keys=keys,
        queued_at=np.rint(queued * QUANTA_PER_SECOND) / QUANTA_PER_SECOND,
        duration_seconds=np.rint(duration * QUANTA_PER_SECOND) / QUANTA_PER_SECOND,
        slots=taken.astype(np.int64),
        queue=np.zeros(len(queued), np.int64) if queue is None else np.asarray(queue, dtype=np.int64),
        queues=queues,
        edge_parent=parent,
        edge_child=child,
        delay_seconds=delay,
        dag=_whole(source, "dag", dag, len(queued), 0),
        dags=dags,
        run=_whole(source, "group", run, len(queued), 0),
        runs=runs,
        pool=_whole(source, "pool", pool, len(queued), 0),
        pools=pools,
        pool_slots=_whole(source, "pool_slots", pool_slots, len(queued), 1),
        priority=_whole(source, "priority", priority, len(queued), -(2**31)),
        observed_wait_seconds=wait,
    )


def _seconds(source: str, column: str, given: ArrayLike, tasks: int, *, unknown: bool = False) -> FloatArray:
    """Quantised seconds; NaN where they may be unknown."""
    values = np.asarray(given, dtype=float)
    wrong = ~((values >= 0) & (values <= LONGEST_SECONDS) | (unknown & np.isnan(values)))
    refuse(source, column, np.atleast_1d(values), np.atleast_1d(wrong), "seconds, 0 to 1e9")
    return _column(np.rint(values * QUANTA_PER_SECOND) / QUANTA_PER_SECOND, tasks)


def _whole(source: str, column: str, given: ArrayLike, tasks: int, least: int) -> CodeArray:
    values = np.asarray(given)
    wrong = ~((values >= least) & (values < 2**31) & (values == np.rint(values)))
    expected = "a whole number" if least < 0 else f"a whole number, at least {least}"
    refuse(source, column, np.atleast_1d(values), np.atleast_1d(wrong), expected)
    return _column(values.astype(np.int32, copy=False), tasks)


def _column(values: NDArray[Any], tasks: int) -> NDArray[Any]:
    """Raises `ValueError` for a column of another length."""
    return values if values.shape == (tasks,) else np.broadcast_to(values, tasks)


def refuse(source: str, column: str, values: Rows, wrong: NDArray[np.bool_], expected: str) -> None:
    """Raises `TraceError` for the first wrong row, if there is one."""
    rows = np.flatnonzero(wrong)
    if not len(rows):
        return
    row = int(rows[0])
    value = values[row]
    shown = "nothing" if value is None else f"{value:g}" if isinstance(value, float) else repr(value)
    others = f" (and {len(rows) - 1} more rows)" if len(rows) > 1 else ""
    raise TraceError(f"{source}: row {row + 1}, column {column}: expected {expected}, got {shown}{others}")
