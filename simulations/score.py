"""A run in numbers: what it cost, who waited, how often the fleet moved, what was lost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from simulations.price import Price
from simulations.run import Result

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Score:
    """One run's figures; every duration in its unit's name."""

    tasks: int
    makespan_seconds: float
    """From the first task queued to the last task's end."""
    wait_mean_seconds: float
    """A task's wait is its time in the queue, over all its tries."""
    wait_p50_seconds: float
    wait_p95_seconds: float
    wait_p99_seconds: float
    wait_max_seconds: float
    worker_hours: float
    """From a worker's order to its stop, or to the run's end."""
    billed_worker_hours: float
    """The same with the price's minimum per worker.  Billing really begins with the image pull, some
    seconds after the order, so this errs on the dear side."""
    cost_usd: float
    price: str
    utilisation: float
    """Share of the ready workers' slot time in which a task ran, lost work included."""
    scale_outs: int
    """Decisions that raised the desired count ..."""
    scale_ins: int
    """... and that lowered it."""
    launched_workers: int
    """The fleet at the start included."""
    peak_workers: int
    killed_tasks: int
    """Task tries lost because their worker was stopped."""
    lost_slot_hours: float
    run_hours: float
    ticks: int
    settled: bool
    """Whether the fleet came back to its minimum in the end."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def score(result: Result, price: Price) -> Score:
    """The figures of a run at that price."""
    trace, waits = result.trace, result.waited_seconds
    p50, p95, p99 = (float(each) for each in np.percentile(waits, (50, 95, 99)))
    existed = result.stopped_at - result.created_at
    billed_hours = float(np.maximum(existed, price.minimum_seconds).sum()) / HOUR
    run_hours = (result.finished_at - trace.starts_at) / HOUR
    ready_seconds = float(np.maximum(result.stopped_at - result.ready_at, 0.0).sum())
    worked = float(trace.duration_seconds @ trace.slots) + result.lost_slot_seconds
    offered = ready_seconds * result.service.slots_per_worker
    return Score(
        tasks=len(trace),
        makespan_seconds=float(result.ended_at.max() - trace.starts_at - trace.queued_at.min()),
        wait_mean_seconds=float(waits.mean()),
        wait_p50_seconds=p50,
        wait_p95_seconds=p95,
        wait_p99_seconds=p99,
        wait_max_seconds=float(waits.max()),
        worker_hours=float(existed.sum()) / HOUR,
        billed_worker_hours=billed_hours,
        cost_usd=price.usd(billed_hours, run_hours),
        price=price.label,
        utilisation=worked / offered if offered else 0.0,
        scale_outs=result.scale_outs,
        scale_ins=result.scale_ins,
        launched_workers=len(result.created_at),
        peak_workers=result.peak_workers,
        killed_tasks=result.killed_tasks,
        lost_slot_hours=result.lost_slot_seconds / HOUR,
        run_hours=run_hours,
        ticks=result.ticks,
        settled=result.settled,
    )
