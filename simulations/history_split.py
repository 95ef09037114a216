"""A trace in two parts of time: to tune on the first, and to judge on what came after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from policies.model import IntArray
from simulations.trace import Trace, TraceError, quantised

FEWEST_TASKS = 20
"""Less than that says nothing about a percentile."""


def split(trace: Trace, share: float) -> tuple[Trace, Trace]:
    """The tasks queued in the first `share` of the time, and the others; both begin with an idle fleet.

    A parent in the other part drops out: it counts as never having waited, which is what `queued_at`
    says.  Raises `ValueError` for a share that is none, and `TraceError` if a part is too small.
    """
    if not 0 < share < 1:
        raise ValueError(f"split: expected a number between 0 and 1, got {share:g}")
    first, last = float(trace.queued_at.min()), float(trace.queued_at.max())
    cut = quantised(first + share * (last - first))
    earlier = trace.queued_at < cut
    for name, count in (("first", earlier.sum()), ("last", (~earlier).sum())):
        if count < FEWEST_TASKS:
            raise TraceError(
                f"{trace.source}: the {name} part has {count} tasks; expected at least {FEWEST_TASKS}: "
                "give a longer trace, or cut it elsewhere with --split"
            )
    return _part(trace, np.flatnonzero(earlier), 0.0), _part(trace, np.flatnonzero(~earlier), cut)


def _part(trace: Trace, rows: IntArray, cut: float) -> Trace:
    part = trace.at_rows(rows)
    # Only errors name a task, and a row's number will do.
    numbers = cast("Sequence[str]", rows + 1)
    return replace(part, starts_at=trace.starts_at + cut, keys=numbers, queued_at=part.queued_at - cut)
