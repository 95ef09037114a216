"""Which tasks a promise with exceptions may excuse, grouped so that the choice stays small."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from policies.model import FloatArray, IntArray
from simulations.trace import Trace
from simulations.windows import Windows

FINE_BINS = 4
"""Tasks of up to so many bins are told apart by the bin in which they end at the latest ..."""
CLASSES_PER_DOUBLING = 3
"""... and longer ones by the logarithm of their length, so that no more than some forty lengths remain."""


@dataclass(frozen=True, slots=True, eq=False)
class Excuses:
    """Groups of which some members may be excused.  To excuse a member lifts all intervals of its group.

    An interval covers every interval of the tasks that it stands for, so that what is lifted is never
    less than what an excuse can lift: the relaxation stays one.
    """

    members: IntArray
    """By group."""
    group: IntArray
    """By interval: whose it is ..."""
    begin: FloatArray
    """... from the latest start ..."""
    end: FloatArray
    """... to the latest end ..."""
    slots: IntArray
    """... holding so many slots."""


def excuses_of(trace: Trace, windows: Windows, bin_seconds: float) -> Excuses:
    """The groups: tasks alone, by latest start, length and slots; tasks of one DAG run by that run.

    Whoever excuses a task delays its descendants without their ever waiting in the queue, so one excuse
    may free a whole run of connected tasks.
    """
    tasks = len(trace)
    edges = coo_array(
        (np.ones(len(trace.edge_parent)), (trace.edge_parent, trace.edge_child)), (tasks, tasks)
    )
    _, run = connected_components(edges, directed=False)
    alone = np.bincount(run)[run] == 1
    begin, end = windows.latest, windows.latest + windows.held_seconds
    first, last = np.floor(begin / bin_seconds), np.floor(end / bin_seconds)
    length = last - first
    logarithm = FINE_BINS + np.floor(
        CLASSES_PER_DOUBLING * np.log2(np.maximum(length, FINE_BINS) / FINE_BINS)
    )
    kind = np.where(length < FINE_BINS, length, logarithm)
    widths, width = np.unique(windows.slots[alone], return_inverse=True)
    sign = (first[alone] * (kind.max() + 1) + kind[alone]) * len(widths) + width
    _, class_of, members = np.unique(sign, return_inverse=True, return_counts=True)
    least, most = np.full(len(members), np.inf), np.full(len(members), -np.inf)
    np.minimum.at(least, class_of, begin[alone])
    np.maximum.at(most, class_of, end[alone])
    slots = np.zeros(len(members), dtype=np.int64)
    slots[class_of] = windows.slots[alone]
    _, run_of = np.unique(run[~alone], return_inverse=True)
    runs = int(run_of.max()) + 1 if len(run_of) else 0
    return Excuses(
        members=np.concatenate((members, np.ones(runs, dtype=np.int64))),
        group=np.concatenate((np.arange(len(members)), len(members) + run_of)),
        begin=np.concatenate((least, begin[~alone])),
        end=np.concatenate((most, end[~alone])),
        slots=np.concatenate((slots, windows.slots[~alone])),
    )
