"""How long tasks waited, by queue, by DAG, by span of time: one sort for any number of groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.model import FloatArray, IntArray
from simulations.run import Result
from simulations.trace import QUANTA_PER_SECOND

Codes = NDArray[np.signedinteger[Any]]
"""Numbers of names."""
KEY_BITS = 62
"""What a signed 64-bit key has room for: the group in front, the wait behind."""


@dataclass(frozen=True, slots=True)
class Waits:
    """The waits of one group of tasks."""

    name: str
    tasks: int
    mean_seconds: float
    p50_seconds: float
    p95_seconds: float
    max_seconds: float
    misses: int | None
    """Tasks that waited longer than the promise allows a task; None: nothing is promised."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """The waits of numbered groups: row g is group g, NaN where it has no task."""

    tasks: IntArray
    mean: FloatArray
    quantiles: tuple[FloatArray, ...]
    """In the order of the shares that were asked for."""
    highest: FloatArray


def grouped(group: Codes, groups: int, waits: FloatArray, shares: Sequence[float]) -> Grouped:
    """Mean, quantiles and maximum of each group, all by one sort.

    `group`: a number in [0, groups) a task.  Quantiles lie between the two nearest waits, as numpy's do;
    a wait is taken to the world's own resolution, or to 2^-62 of the longest times the number of groups.
    """
    tasks = np.bincount(group, minlength=groups)
    ends = np.cumsum(tasks)
    sums = np.bincount(group, weights=waits, minlength=groups)
    there = np.maximum(tasks, 1)
    empty = tasks == 0
    ordered = _ordered(group, groups, waits)

    def at(offset: IntArray) -> FloatArray:
        place = np.clip(ends - tasks + offset, 0, max(len(ordered) - 1, 0))
        return ordered[place] if len(ordered) else np.zeros(groups)

    quantiles = []
    for share in shares:
        place = (there - 1) * share
        below = np.floor(place).astype(np.int64)
        low, high = at(below), at(np.minimum(below + 1, there - 1))
        quantiles.append(_blank(low + (high - low) * (place - below), empty))
    return Grouped(tasks, _blank(sums / there, empty), tuple(quantiles), _blank(at(there - 1), empty))


def _ordered(group: Codes, groups: int, waits: FloatArray) -> FloatArray:
    """The waits by group, then by length: integer keys sort several times as fast as pairs."""
    room = KEY_BITS - max(groups - 1, 1).bit_length()
    longest = float(waits.max(initial=0.0)) + 1.0
    scale = float(min(QUANTA_PER_SECOND, 2 ** int(room - np.ceil(np.log2(longest)))))
    keys = (group.astype(np.int64) << room) | np.rint(waits * scale).astype(np.int64)
    keys.sort()
    keys &= (1 << room) - 1
    return keys / scale


def _blank(values: FloatArray, empty: NDArray[np.bool_]) -> FloatArray:
    return np.where(empty, np.nan, values)


def of_ended(result: Result, column: NDArray[Any]) -> NDArray[Any]:
    """The column's rows of the tasks that wanted a worker and ended; no others have a wait."""
    waited = ~np.isnan(result.ended_at)
    if not result.trace.slots.min():
        waited &= result.trace.slots > 0
    return column if waited.all() else column[waited]


def waits_by(
    names: Sequence[str], group: Codes, waits: FloatArray, misses: IntArray | None = None
) -> list[Waits]:
    """The waits of each named group that has tasks, those that waited longest together first.

    `misses`: of each group; None: nothing is promised.
    """
    found = grouped(group, len(names), waits, (0.5, 0.95))
    total = np.nan_to_num(found.mean) * found.tasks
    order = np.lexsort((-found.tasks, -total))
    return [
        Waits(
            names[row],
            int(found.tasks[row]),
            float(found.mean[row]),
            float(found.quantiles[0][row]),
            float(found.quantiles[1][row]),
            float(found.highest[row]),
            None if misses is None else int(misses[row]),
        )
        for row in order
        if found.tasks[row]
    ]
