"""When each task may hold its slots, and the load that follows from it as sums over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policies.model import FloatArray, IntArray
from simulations.parents import children_of
from simulations.trace import Trace


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """A row a task, seconds from the trace's zero."""

    earliest: FloatArray
    """Earliest start, with workers without end."""
    latest: FloatArray
    """Latest start if neither the task nor any ancestor waits longer than promised."""
    held_seconds: FloatArray
    """How long the task holds its slots."""
    slots: IntArray

    def compulsory(self) -> tuple[FloatArray, FloatArray, IntArray]:
        """(from, to, slots): where a task runs whatever the schedule, for tasks that have such a part."""
        until = self.earliest + self.held_seconds
        sure = until > self.latest
        return self.latest[sure], until[sure], self.slots[sure]


def windows_of(trace: Trace, max_wait_seconds: float, tail_seconds: float) -> Windows:
    """The windows in which every task waits at most that long.

    A child is queued when its last parent ends (and its delay is over), so the waits of a path add up: its
    latest start is the latest end of a parent (or `queued_at`) plus the promise, at most the earliest start
    plus the promise times the depth.
    """
    duration = trace.duration_seconds
    earliest, latest = trace.queued_at.copy(), trace.queued_at + max_wait_seconds
    waits_for = np.bincount(trace.edge_child, minlength=len(trace))
    first, children = children_of(len(trace), trace.edge_parent, trace.edge_child)
    frontier = np.flatnonzero(waits_for == 0)
    while len(frontier):
        counts = first[frontier + 1] - first[frontier]
        begins = np.repeat(first[frontier] - np.cumsum(counts) + counts, counts)
        freed = children[begins + np.arange(counts.sum())]
        parent = np.repeat(frontier, counts)
        passed = duration[parent] + trace.delay_seconds[freed]
        np.maximum.at(earliest, freed, earliest[parent] + passed)
        np.maximum.at(latest, freed, latest[parent] + passed + max_wait_seconds)
        np.subtract.at(waits_for, freed, 1)
        frontier = np.unique(freed[waits_for[freed] == 0])
    return Windows(earliest, latest, duration + tail_seconds, trace.slots)


def held_until(at: FloatArray, begin: FloatArray, end: FloatArray, slots: IntArray) -> FloatArray:
    """Slot-seconds that fall before each instant of `at`, each interval holding its slots throughout."""

    def past(edge: FloatArray) -> FloatArray:
        order = np.argsort(edge, kind="stable")
        weight = slots[order].astype(float)
        number = np.concatenate(((0.0,), np.cumsum(weight)))
        moment = np.concatenate(((0.0,), np.cumsum(weight * edge[order])))
        place = np.searchsorted(edge[order], at, side="right")
        behind: FloatArray = at * number[place] - moment[place]
        return behind

    return np.maximum(past(begin) - past(end), 0.0)


def workers_needed(
    begin: FloatArray, end: FloatArray, slots: IntArray, slots_per_worker: int
) -> tuple[FloatArray, IntArray]:
    """(at, workers): from each instant to the next so many whole workers are needed; the last is none."""
    at, place = np.unique(np.concatenate((begin, end)), return_inverse=True)
    change = np.bincount(place, np.concatenate((slots, -slots)), minlength=len(at))
    held = np.rint(np.cumsum(change)).astype(np.int64)
    return at, -(-held // slots_per_worker)
