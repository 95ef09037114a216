"""What the history of a task says of its duration, known when it comes: never the future."""

from __future__ import annotations

import numpy as np

from policies.model import FloatArray, IntArray
from simulations.trace import Trace

RECENT = 20
"""So many of its last durations are looked at, as the daemon does."""


def expected_seconds(trace: Trace) -> FloatArray:
    """The mean of the last `RECENT` durations of the same kind that had ended by then; NaN: none had.

    When they had ended is told by the trace alone, without waits.  Of a kind are the tasks of one DAG and
    queue; where the trace names neither, those of one run (a grid's user, a batch's job).
    """
    kind, came_at = _kinds(trace), trace.queued_at
    ended_at = came_at + trace.duration_seconds
    expected = np.full(len(trace), np.nan)
    rows = np.argsort(kind, kind="stable")
    for same in np.split(rows, np.flatnonzero(np.diff(kind[rows])) + 1):
        past = same[np.argsort(ended_at[same], kind="stable")]
        sums = np.concatenate([[0.0], np.cumsum(trace.duration_seconds[past])])
        known = np.searchsorted(ended_at[past], came_at[same], side="right")
        first = np.maximum(known - RECENT, 0)
        with np.errstate(invalid="ignore"):  # 0 / 0: nothing had ended
            expected[same] = (sums[known] - sums[first]) / (known - first)
    return expected


def _kinds(trace: Trace) -> IntArray:
    if len(trace.dags) > 1 or len(trace.queues) > 1:
        named: IntArray = trace.dag.astype(np.int64) * len(trace.queues) + trace.queue
        return named
    return trace.run.astype(np.int64)
