"""What a recorded trace keeps of the fleet that ran it: late arrivals, if nothing says what was ready."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from simulations.trace import Trace
from simulations.words import span


@dataclass(frozen=True, slots=True)
class BakedIn:
    """Why other fleets may look worse or better than they would have been, in words and figures."""

    why: str
    known_waits: int
    """Tasks of which the trace says how long they waited in the recorded system."""
    wait_mean_seconds: float | None
    """Of these; None: there are none."""
    wait_p95_seconds: float | None
    wait_max_seconds: float | None

    @property
    def text(self) -> str:
        """For a person, in one or two sentences."""
        if self.wait_mean_seconds is None or self.wait_p95_seconds is None or self.wait_max_seconds is None:
            return f"{self.why} How large they were the trace does not say: it has no wait_s."
        return (
            f"{self.why} There tasks waited {span(self.wait_mean_seconds)} on average, "
            f"{span(self.wait_p95_seconds)} at the 95th percentile, {span(self.wait_max_seconds)} at most."
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def baked_in(trace: Trace) -> BakedIn | None:
    """What to mind of a trace; None: with parents and runs, when a task is ready is simulated.

    Without parents a task that came late because an earlier one had waited still comes late, however many
    workers there are.
    """
    if not len(trace.edge_child):
        why = (
            "The trace has no parents: tasks come when they came in the recorded system, late arrivals of "
            "its fleet included."
        )
    elif not any(trace.runs):
        why = (
            "The trace has parents but names no runs (column group): if its queued_at are not the starts of "
            "runs, late arrivals of the recorded fleet are included."
        )
    else:
        return None
    waits = trace.observed_wait_seconds
    waits = waits[~np.isnan(waits)]
    if not len(waits):
        return BakedIn(why, 0, None, None, None)
    p95 = float(np.percentile(waits, 95))
    return BakedIn(why, len(waits), float(waits.mean()), p95, float(waits.max()))
