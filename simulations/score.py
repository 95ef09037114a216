"""A run in numbers: what it cost, who waited, how often the fleet moved, what was lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from policies.model import FloatArray
from simulations.price import Bill, Price
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
    return total([(result, price)])


def total(runs: Sequence[tuple[Result, Price]]) -> Score:
    """The figures of targets that ran side by side, together: sums, and the waits of all tasks."""
    results, sheets = [result for result, _ in runs], [_Sheet.of(*run) for run in runs]
    waits = _joined([result.waits_of_finished for result in results])
    p50, p95, p99 = (float(each) for each in np.percentile(waits, (50, 95, 99)))
    ended_at = max(float(np.nanmax(result.ended_at)) for result in results)
    began_at = min(float(result.trace.queued_at.min()) for result in results)
    worked = sum(result.worked_slot_seconds for result in results)
    offered, billed = sum(each.offered for each in sheets), sum(each.billed_slot_seconds for each in sheets)
    return Score(
        tasks=sum(len(result.trace) for result in results),
        makespan_seconds=ended_at - results[0].trace.starts_at - began_at,
        wait_mean_seconds=float(waits.mean()),
        wait_p50_seconds=p50,
        wait_p95_seconds=p95,
        wait_p99_seconds=p99,
        wait_max_seconds=float(waits.max()),
        worker_hours=sum(each.worker_hours for each in sheets),
        billed_worker_hours=sum(each.billed_hours for each in sheets),
        cost_usd=sum(each.bill.total_usd for each in sheets),
        cost_vcpu_usd=sum(each.bill.vcpu_usd for each in sheets),
        cost_memory_usd=sum(each.bill.memory_usd for each in sheets),
        cost_workers_usd=sum(each.bill.workers_usd for each in sheets),
        cost_base_usd=sum(each.bill.base_usd for each in sheets),
        cost_minimum_usd=sum(each.minimum_usd for each in sheets),
        cost_idle_usd=sum(each.idle_usd for each in sheets),
        idle_share=_idle_share(worked, billed),
        price="; ".join(dict.fromkeys(price.label for _, price in runs)),
        utilisation=worked / offered if offered else 0.0,
        scale_outs=sum(result.scale_outs for result in results),
        scale_ins=sum(result.scale_ins for result in results),
        launched_workers=sum(len(result.created_at) for result in results),
        peak_workers=_peak(results),
        killed_tasks=sum(result.killed_tasks for result in results),
        failed_tasks=sum(result.failed_tasks for result in results),
        skipped_tasks=sum(result.skipped_tasks for result in results),
        reclaimed_workers=sum(result.reclaimed_workers for result in results),
        retired_workers=sum(result.retired_workers for result in results),
        given_up_workers=sum(result.given_up_workers for result in results),
        lost_slot_hours=sum(result.lost_slot_seconds for result in results) / HOUR,
        run_hours=max(each.run_hours for each in sheets),
        ticks=sum(result.ticks for result in results),
        settled=all(result.settled for result in results),
    )


class _Sheet(NamedTuple):
    """What is summed of one target."""

    worker_hours: float
    billed_hours: float
    run_hours: float
    bill: Bill
    minimum_usd: float
    idle_usd: float
    offered: float
    """Slot seconds of ready workers."""
    billed_slot_seconds: float

    @staticmethod
    def of(result: Result, price: Price) -> _Sheet:
        existed = result.stopped_at - result.created_at
        run_hours = (result.finished_at - result.trace.starts_at) / HOUR
        ready_seconds = float(np.maximum(result.stopped_at - result.ready_at, 0.0).sum())
        slots = result.service.slots_per_worker
        billed_seconds = float(_billed_seconds(result, price.minimum_seconds).sum())
        unused_hours = (billed_seconds - float(_billed_seconds(result, 0.0).sum())) / HOUR
        bill = price.bill(billed_seconds / HOUR, run_hours)
        idle_share = _idle_share(result.worked_slot_seconds, billed_seconds * slots)
        return _Sheet(
            worker_hours=float(existed.sum()) / HOUR,
            billed_hours=billed_seconds / HOUR,
            run_hours=run_hours,
            bill=bill,
            minimum_usd=unused_hours * price.usd_per_worker_hour,
            idle_usd=idle_share * (bill.total_usd - bill.base_usd),
            offered=ready_seconds * slots,
            billed_slot_seconds=billed_seconds * slots,
        )


def _idle_share(worked: float, billed_slot_seconds: float) -> float:
    return max(0.0, 1 - worked / billed_slot_seconds) if billed_slot_seconds else 0.0


def _billed_seconds(result: Result, minimum_seconds: float) -> FloatArray:
    """By worker; who is stopped before the image pull costs nothing."""
    unbilled = np.minimum(result.service.before_pull_seconds, result.ready_at - result.created_at)
    pulled = result.stopped_at - result.created_at - unbilled
    billed: FloatArray = np.where(pulled >= 0, np.maximum(pulled, minimum_seconds), 0.0)
    return billed


def _joined(columns: Sequence[FloatArray]) -> FloatArray:
    return columns[0] if len(columns) == 1 else np.concatenate(columns)


def _peak(results: Sequence[Result]) -> int:
    """The most workers at a time, all targets together."""
    if len(results) == 1:
        return results[0].peak_workers
    came = np.concatenate([result.created_at for result in results])
    went = np.concatenate([result.stopped_at for result in results])
    changes = np.concatenate([np.ones(len(came), dtype=int), -np.ones(len(went), dtype=int)])
    # At one instant those that go come first.
    order = np.lexsort((changes, np.concatenate([came, went])))
    return int(np.cumsum(changes[order]).max())
