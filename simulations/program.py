"""The lower bound's linear program: work that may move within its window, workers that may be fractions.

Time is cut into bins of equal length; work is counted in slots held through a bin.  Per bin k:

    work[k]    = done[k] - done[k-1]            what is worked off
    work[k]   <= slots_per_worker * workers[k]  only ready workers work
    launches[k] >= workers[k] - workers[k-1]    more workers than before were launched
    latest[k] <= done[k] <= earliest[k]         no task early, none late
    work[k]   >= compulsory[k]                  parts of tasks that no schedule can move away

and the least sum of `workers` and of `launches` at their price.  Whatever a real fleet does obeys all of
it, with `workers` its mean over a bin: means over bins vary no more than the fleet itself.  So the
optimum is at most what the fleet costs.  With excuses, `lifted[k]` of the latest work is taken off, and
what is never done within the horizon is still paid for as work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array

from policies.model import FloatArray, IntArray
from simulations.excuses import Excuses
from simulations.windows import Windows, held_until, workers_needed


class BoundError(Exception):
    """The bound could not be computed; one line says why."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a worker is paid for."""

    slots_per_worker: int
    launch_seconds: float
    """Paid per launch, beside the time in which the worker is ready."""
    least_ready_seconds: float
    """Paid at least, once ready."""
    ready_at_start: int
    """Workers that need no launch."""


@dataclass(frozen=True, slots=True, eq=False)
class Load:
    """The tasks, in bins."""

    edges: FloatArray
    """Seconds: the bins' borders, one more than bins."""
    earliest: FloatArray
    """Work done by each bin's end at most, in slots times bins ..."""
    latest: FloatArray
    """... and at least."""
    compulsory: FloatArray
    compulsory_workers: FloatArray
    """Mean of the whole workers that the compulsory parts need."""

    @property
    def bin_seconds(self) -> float:
        """Length of a bin."""
        return float(self.edges[1] - self.edges[0])


def bins_of(windows: Windows, terms: Terms, bin_seconds: float) -> int:
    """How many bins of that length there are from the first task until the last worker is paid for."""
    begin = int(windows.earliest.min() // bin_seconds)
    end = float((windows.latest + windows.held_seconds).max()) + terms.least_ready_seconds
    return max(1, int(np.ceil(end / bin_seconds)) - begin)


def columns_of(bins: int, excuses: Excuses) -> int:
    """How many columns a program with excuses has."""
    return 6 * bins + len(excuses.members) + 1


def load_of(windows: Windows, terms: Terms, bin_seconds: float) -> Load:
    """The envelopes of the work, bin by bin, from the first task until the last worker is paid for."""
    released, due, held = windows.earliest, windows.latest, windows.held_seconds
    begin = int(released.min() // bin_seconds)
    bins = bins_of(windows, terms, bin_seconds)
    edges: FloatArray = bin_seconds * np.arange(begin, begin + bins + 1, dtype=np.float64)
    compulsory = windows.compulsory()
    at, needed = workers_needed(*compulsory, terms.slots_per_worker)
    paid = np.concatenate(((0.0,), np.cumsum(needed[:-1] * np.diff(at)))) if len(at) else np.zeros(1)
    earliest = held_until(edges, released, released + held, windows.slots)[1:] / bin_seconds
    latest = held_until(edges, due, due + held, windows.slots)[1:] / bin_seconds
    return Load(
        edges=edges,
        earliest=np.maximum(earliest, latest),  # rounding must not close the window
        latest=latest,
        compulsory=np.maximum(np.diff(held_until(edges, *compulsory)), 0.0) / bin_seconds,
        compulsory_workers=np.diff(np.interp(edges, at if len(at) else (0.0,), paid)) / bin_seconds,
    )


@dataclass
class _Rows:
    """Rows of one kind, entry by entry."""

    row: list[IntArray] = field(default_factory=list)
    column: list[IntArray] = field(default_factory=list)
    value: list[FloatArray] = field(default_factory=list)
    right: list[FloatArray] = field(default_factory=list)
    rows: int = 0

    def add(self, right: FloatArray) -> IntArray:
        """The numbers of new rows with these right-hand sides."""
        self.right.append(right)
        self.rows += len(right)
        return np.arange(self.rows - len(right), self.rows)

    def put(self, row: IntArray, column: IntArray, value: FloatArray | float) -> None:
        """Adds to the entries."""
        self.row.append(row)
        self.column.append(column)
        self.value.append(np.broadcast_to(np.asarray(value, dtype=float), len(row)))

    def put_difference(self, row: IntArray, column: IntArray, value: float) -> None:
        """`value` times (this bin's column less the last bin's)."""
        self.put(row, column, value)
        self.put(row[1:], column[:-1], -value)

    def matrix(self, columns: int) -> tuple[Any, FloatArray]:
        """The sparse matrix and the right-hand sides."""
        place = (np.concatenate(self.row), np.concatenate(self.column))
        entries = np.concatenate(self.value)
        return coo_array((entries, place), (self.rows, columns)).tocsc(), np.concatenate(self.right)


@dataclass
class _Program:
    """Columns and rows as they are added."""

    cost: list[FloatArray] = field(default_factory=list)
    low: list[FloatArray] = field(default_factory=list)
    high: list[FloatArray] = field(default_factory=list)
    columns: int = 0
    equal: _Rows = field(default_factory=_Rows)
    at_most: _Rows = field(default_factory=_Rows)

    def add(
        self,
        count: int,
        *,
        cost: float = 0.0,
        low: FloatArray | float = 0.0,
        high: FloatArray | float = np.inf,
    ) -> IntArray:
        """The numbers of new columns."""
        self.cost.append(np.full(count, cost))
        self.low.append(np.broadcast_to(np.asarray(low, dtype=float), count))
        self.high.append(np.broadcast_to(np.asarray(high, dtype=float), count))
        self.columns += count
        return np.arange(self.columns - count, self.columns)

    def solve(self) -> tuple[float, FloatArray]:
        """(least cost, the columns' values).  Raises `BoundError`."""
        a_eq, b_eq = self.equal.matrix(self.columns)
        a_ub, b_ub = self.at_most.matrix(self.columns)
        bounds: Any = np.stack((np.concatenate(self.low), np.concatenate(self.high)), axis=1)
        found: Any = linprog(
            np.concatenate(self.cost),
            A_ub=a_ub,
            b_ub=b_ub,
            A_eq=a_eq,
            b_eq=b_eq,
            bounds=bounds,
            method="highs",
        )
        if found.status != 0:
            raise BoundError(f"the linear program was not solved: {found.message}; try longer bins")
        return float(found.fun), np.asarray(found.x, dtype=float)


def least_cost(
    load: Load, terms: Terms, excuses: Excuses | None = None, excused: float = 0.0
) -> tuple[float, float]:
    """(worker-seconds, launches) at the optimum; `excused`: how many excuses there are, fractions allowed.

    Raises `BoundError` if the solver gives up.
    """
    program, bins, bin_seconds = _Program(), len(load.latest), load.bin_seconds
    strict = excuses is None
    nothing = np.zeros(bins)
    launch_bins = terms.launch_seconds / bin_seconds
    work = program.add(bins, low=load.compulsory if strict else nothing)
    done = program.add(bins, low=load.latest if strict else nothing, high=load.earliest)
    workers = program.add(bins, cost=1.0, low=load.compulsory_workers if strict else nothing)
    launches = program.add(bins, cost=launch_bins)
    equal, at_most = program.equal, program.at_most

    rows = equal.add(nothing)
    equal.put_difference(rows, done, 1.0)
    equal.put(rows, work, -1.0)
    rows = at_most.add(nothing)
    at_most.put(rows, work, 1.0 / terms.slots_per_worker)
    at_most.put(rows, workers, -1.0)
    free = nothing.copy()
    free[0] = terms.ready_at_start
    rows = at_most.add(free)
    at_most.put_difference(rows, workers, 1.0)
    at_most.put(rows, launches, -1.0)
    _keep_ready(program, workers, launches, int(terms.least_ready_seconds // bin_seconds))
    if excuses is not None:
        _excuse(program, load, terms, excuses, excused, work, done)
    cost_bins, values = program.solve()
    return cost_bins * bin_seconds, float(values[launches].sum())


def _keep_ready(program: _Program, workers: IntArray, launches: IntArray, least_bins: int) -> None:
    """Whoever was launched in the last `least_bins` bins is still paid for, so is still there."""
    if least_bins < 2:  # one bin says no more than that workers above those before were launched
        return
    rows = program.at_most.add(np.zeros(len(workers)))
    program.at_most.put(rows, workers, -1.0)
    for back in range(min(least_bins, len(workers))):
        program.at_most.put(rows[back:], launches[: len(launches) - back], 1.0)


def _excuse(
    program: _Program,
    load: Load,
    terms: Terms,
    excuses: Excuses,
    excused: float,
    work: IntArray,
    done: IntArray,
) -> None:
    """Lifts the latest work and the compulsory work of those who are excused."""
    equal, at_most, bins, nothing = program.equal, program.at_most, len(work), np.zeros(len(work))
    lifted = program.add(bins)
    """By each bin's end."""
    through = program.add(bins)
    """Slots lifted through the whole bin, by groups that begin before and end after it."""
    chosen = program.add(len(excuses.members), high=excuses.members.astype(float))
    never = program.add(1, cost=1.0 / terms.slots_per_worker)

    first = np.clip(np.searchsorted(load.edges, excuses.begin, side="right") - 1, 0, bins - 1)
    last = np.clip(np.searchsorted(load.edges, excuses.end, side="left") - 1, first, bins - 1)
    column, slots = chosen[excuses.group], excuses.slots.astype(float)
    rows = equal.add(nothing)
    equal.put_difference(rows, lifted, 1.0)
    equal.put(rows, through, -1.0)
    held_first = np.minimum(excuses.end, load.edges[first + 1]) - excuses.begin
    equal.put(rows[first], column, -slots * held_first / load.bin_seconds)
    on = last > first
    held_last = excuses.end[on] - load.edges[last[on]]
    equal.put(rows[last[on]], column[on], -slots[on] * held_last / load.bin_seconds)
    rows = equal.add(nothing)
    equal.put_difference(rows, through, 1.0)
    equal.put(rows[first[on] + 1], column[on], -slots[on])
    equal.put(rows[last[on]], column[on], slots[on])
    rows = equal.add(load.latest[-1:])
    equal.put(rows, done[-1:], 1.0)
    equal.put(rows, never, 1.0)

    rows = at_most.add(-load.latest)
    at_most.put(rows, done, -1.0)
    at_most.put(rows, lifted, -1.0)
    rows = at_most.add(-load.compulsory)
    at_most.put(rows, work, -1.0)
    at_most.put_difference(rows, lifted, -1.0)
    rows = at_most.add(np.array([excused]))
    at_most.put(np.full(len(chosen), rows[0]), chosen, 1.0)
