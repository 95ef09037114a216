"""A run in numbers: what it cost, who waited, how often the fleet moved, what was lost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from policies.model import FloatArray
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
    """From a worker's image pull to its stop, with the price's minimum per worker."""
    cost_usd: float
    cost_vcpu_usd: float
    """Of the cost, for vCPUs ..."""
    cost_memory_usd: float
    """... for memory ..."""
    cost_workers_usd: float
    """... for workers with an undivided price, such as MWAA's additional ones ..."""
    cost_base_usd: float
    """... and for MWAA's environment.  These four make up the cost."""
    cost_minimum_usd: float
    """Of the cost, for time that no worker existed: what the minimum per worker adds."""
    cost_idle_usd: float
    """Of the workers' cost, the share of idle slots."""
    idle_share: float
    """Share of the billed slot time in which no task ran: launches, spare slots, slot tails, exits."""
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
    failed_tasks: int
    """Tasks that Airflow gave up: after their retries, or after too long in the queue."""
    skipped_tasks: int
    """Tasks that never ran because one before them failed.  Neither kind has a wait here."""
    reclaimed_workers: int
    """Workers that Spot took away ..."""
    retired_workers: int
    """... whose host AWS retired ..."""
    given_up_workers: int
    """... and that never started."""
    lost_slot_hours: float
    run_hours: float
    ticks: int
    settled: bool
    """Whether the fleet came back to its minimum in the end."""

    @property
    def cost_parts(self) -> dict[str, float]:
        """What the cost is for, in dollars; parts that are nothing are left out."""
        parts = {
            "vCPU": self.cost_vcpu_usd,
            "memory": self.cost_memory_usd,
            "workers": self.cost_workers_usd,
            "environment": self.cost_base_usd,
        }
        return {name: usd for name, usd in parts.items() if usd}

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def score(result: Result, price: Price) -> Score:
    """The figures of a run at that price."""
    trace, waits = result.trace, result.waits_of_finished
    p50, p95, p99 = (float(each) for each in np.percentile(waits, (50, 95, 99)))
    existed = result.stopped_at - result.created_at
    run_hours = (result.finished_at - trace.starts_at) / HOUR
    ready_seconds = float(np.maximum(result.stopped_at - result.ready_at, 0.0).sum())
    worked = result.worked_slot_seconds
    offered = ready_seconds * result.service.slots_per_worker
    billed = _billed_seconds(result, price.minimum_seconds)
    billed_hours = float(billed.sum()) / HOUR
    unused_hours = billed_hours - float(_billed_seconds(result, 0.0).sum()) / HOUR
    bill = price.bill(billed_hours, run_hours)
    billed_slot_seconds = float(billed.sum()) * result.service.slots_per_worker
    idle_share = max(0.0, 1 - worked / billed_slot_seconds) if billed_slot_seconds else 0.0
    return Score(
        tasks=len(trace),
        makespan_seconds=float(np.nanmax(result.ended_at) - trace.starts_at - trace.queued_at.min()),
        wait_mean_seconds=float(waits.mean()),
        wait_p50_seconds=p50,
        wait_p95_seconds=p95,
        wait_p99_seconds=p99,
        wait_max_seconds=float(waits.max()),
        worker_hours=float(existed.sum()) / HOUR,
        billed_worker_hours=billed_hours,
        cost_usd=bill.total_usd,
        cost_vcpu_usd=bill.vcpu_usd,
        cost_memory_usd=bill.memory_usd,
        cost_workers_usd=bill.workers_usd,
        cost_base_usd=bill.base_usd,
        cost_minimum_usd=unused_hours * price.usd_per_worker_hour,
        cost_idle_usd=idle_share * (bill.total_usd - bill.base_usd),
        idle_share=idle_share,
        price=price.label,
        utilisation=worked / offered if offered else 0.0,
        scale_outs=result.scale_outs,
        scale_ins=result.scale_ins,
        launched_workers=len(result.created_at),
        peak_workers=result.peak_workers,
        killed_tasks=result.killed_tasks,
        failed_tasks=result.failed_tasks,
        skipped_tasks=result.skipped_tasks,
        reclaimed_workers=result.reclaimed_workers,
        retired_workers=result.retired_workers,
        given_up_workers=result.given_up_workers,
        lost_slot_hours=result.lost_slot_seconds / HOUR,
        run_hours=run_hours,
        ticks=result.ticks,
        settled=result.settled,
    )


def _billed_seconds(result: Result, minimum_seconds: float) -> FloatArray:
    """By worker; who is stopped before the image pull costs nothing."""
    unbilled = np.minimum(result.service.before_pull_seconds, result.ready_at - result.created_at)
    pulled = result.stopped_at - result.created_at - unbilled
    billed: FloatArray = np.where(pulled >= 0, np.maximum(pulled, minimum_seconds), 0.0)
    return billed
