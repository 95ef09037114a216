"""Who waits for whom: edges between rows of a trace."""

from __future__ import annotations

import numpy as np

from policies.model import IntArray


def children_of(tasks: int, parent: IntArray, child: IntArray) -> tuple[IntArray, IntArray]:
    """(first, children): the children of row r are `children[first[r]:first[r + 1]]`, in input order."""
    order = np.lexsort((child, parent))
    first = np.zeros(tasks + 1, dtype=np.int64)
    np.cumsum(np.bincount(parent, minlength=tasks), out=first[1:])
    return first, child[order]


def cycle(tasks: int, parent: IntArray, child: IntArray) -> list[int] | None:
    """Rows that wait for each other in a ring, its first row repeated at the end; None if nobody does."""
    if bool(np.all(parent < child)):  # every parent comes before its child: the usual trace
        return None
    waits_for = np.bincount(child, minlength=tasks)
    first, children = children_of(tasks, parent, child)
    frontier = np.flatnonzero(waits_for == 0)
    reached = len(frontier)
    while len(frontier):
        counts = first[frontier + 1] - first[frontier]
        starts = np.repeat(first[frontier] - np.cumsum(counts) + counts, counts)
        freed = children[starts + np.arange(counts.sum())]
        np.subtract.at(waits_for, freed, 1)
        frontier = np.unique(freed[waits_for[freed] == 0])
        reached += len(frontier)
    return None if reached == tasks else _ring(waits_for, parent, child)


def _ring(waits_for: IntArray, parent: IntArray, child: IntArray) -> list[int]:
    """Each stuck row waits for a stuck parent, so walking up must meet a row twice."""
    stuck = (waits_for[child] > 0) & (waits_for[parent] > 0)
    up = dict(zip(child[stuck].tolist(), parent[stuck].tolist(), strict=True))
    row, seen = min(up), dict[int, int]()
    while row not in seen:
        seen[row] = len(seen)
        row = up[row]
    walked = list(seen)[seen[row] :]
    return [row, *reversed(walked[1:]), row]
