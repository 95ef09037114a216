"""The cheapest fleet that always has so many workers: each level of the demand on its own."""

from __future__ import annotations

import numpy as np

from policies.model import FloatArray, IntArray


def cheapest_fleet(at: FloatArray, workers: IntArray, launch_seconds: float) -> tuple[float, int]:
    """(worker-seconds, launches) of the cheapest fleet that never has fewer workers than `workers`.

    The n-th worker is needed wherever the demand is n or more.  Between two such stretches it is cheaper
    to keep it if the gap is shorter than a launch, else to launch anew; no level's choice binds another's,
    so the sum of the levels is the optimum.  Example: needed for 10 s, not for 30 s, needed for 10 s,
    with a launch of 60 s: kept, 60 + 50 worker-seconds; after a gap of 90 s: launched twice, 120 + 20.
    """
    if not len(at):
        return 0.0, 0
    worker_seconds = float(workers[:-1] @ np.diff(at))
    left_at = [-np.inf] * int(workers.max())
    now_needed, launches = 0, 0
    steps = np.flatnonzero(np.diff(workers, prepend=0))
    for instant, needed in zip(at[steps].tolist(), workers[steps].tolist(), strict=True):
        for level in range(now_needed, needed):
            gap = instant - left_at[level]
            launches += gap > launch_seconds
            worker_seconds += min(gap, launch_seconds)
        left_at[needed:now_needed] = [instant] * (now_needed - needed)
        now_needed = needed
    return worker_seconds, launches
