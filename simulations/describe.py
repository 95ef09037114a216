"""What is in a trace: sizes, arrivals, concurrency, and what to mind when simulating it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from policies.model import FloatArray
from simulations.trace import MONDAY, Trace

DAY, HOUR = 86_400.0, 3600.0
PERCENTILES = (50, 90, 95, 99, 100)
LONG_SECONDS = DAY
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class Description:
    """The figures of `autoscaler trace describe`."""

    trace: str
    tasks: int
    edges: int
    queues: dict[str, int]
    """Tasks by queue."""
    starts_at: str
    days: float
    """From the first arrival to the last."""
    slot_hours: float
    duration_mean_seconds: float
    duration_seconds: dict[str, float]
    """By percentile; p100 is the longest."""
    concurrency_mean: float
    """Busy slots with unlimited workers, from the first arrival to the last end."""
    concurrency_peak: int
    arrivals_by_hour: list[int]
    """Of the day, UTC."""
    arrivals_by_weekday: list[int]
    """From Monday, UTC."""
    burstiness: float
    """Variance over mean of arrivals a minute: 1 for independent ones, more for pile-ups."""
    problems: list[str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def describe(trace: Trace) -> Description:
    """The figures of a trace."""
    arrivals, duration = trace.queued_at, trace.duration_seconds
    work = float((duration * trace.slots).sum())
    ends_after = float((arrivals + duration).max() - arrivals.min())
    at = trace.starts_at + arrivals
    percentiles = np.percentile(duration, PERCENTILES)
    return Description(
        trace=trace.source,
        tasks=len(trace),
        edges=len(trace.edge_parent),
        queues={
            name: int(count)
            for name, count in zip(
                trace.queues, np.bincount(trace.queue, minlength=len(trace.queues)), strict=True
            )
        },
        starts_at=datetime.fromtimestamp(float(at.min()), UTC).isoformat(timespec="seconds"),
        days=float(arrivals.max() - arrivals.min()) / DAY,
        slot_hours=work / HOUR,
        duration_mean_seconds=float(duration.mean()),
        duration_seconds={f"p{p}": float(v) for p, v in zip(PERCENTILES, percentiles, strict=True)},
        concurrency_mean=work / ends_after if ends_after else 0.0,
        concurrency_peak=int(concurrency(trace)[1].max()),
        arrivals_by_hour=_counts(at % DAY // HOUR, 24),
        arrivals_by_weekday=_counts((at - MONDAY) // DAY % 7, 7),
        burstiness=_burstiness(arrivals),
        problems=problems(trace),
    )


def concurrency(trace: Trace) -> tuple[FloatArray, FloatArray]:
    """(instants, busy slots from then on) with unlimited workers; a slot that is freed is taken again."""
    instants = np.concatenate((trace.queued_at + trace.duration_seconds, trace.queued_at))
    change = np.concatenate((-trace.slots, trace.slots)).astype(float)
    order = np.argsort(instants, kind="stable")  # ends come first at the same instant
    instants, busy = instants[order], np.cumsum(change[order])
    last = np.append(instants[1:] != instants[:-1], True)
    return instants[last], busy[last]


def problems(trace: Trace) -> list[str]:
    """What to mind, in a sentence each."""
    ready = trace.queued_at[trace.edge_child]
    parents_end = trace.queued_at[trace.edge_parent] + trace.duration_seconds[trace.edge_parent]
    early = len(np.unique(trace.edge_child[ready < parents_end - 1.0]))
    gaps = np.diff(np.sort(trace.queued_at))
    longest = float(gaps.max()) if len(gaps) else 0.0
    found = (
        (not len(trace.edge_parent), "no parents: late arrivals of the recorded system are baked in"),
        (early, f"{early:,} tasks have queued_at before their parents could have ended"),
        (zero := int((trace.duration_seconds == 0).sum()), f"{zero:,} tasks take no time at all"),
        (
            long := int((trace.duration_seconds > LONG_SECONDS).sum()),
            f"{long:,} tasks take more than a day: are the durations seconds?",
        ),
        (wide := int((trace.slots > 1).sum()), f"{wide:,} tasks take more than one slot"),
        (longest > DAY, f"nothing arrives for {longest / DAY:.1f} days at a stretch"),
        (trace.starts_at == MONDAY, "no dates: it is taken to begin on a Monday at 00:00 UTC"),
    )
    return [what for wrong, what in found if wrong]


def _counts(values: FloatArray, size: int) -> list[int]:
    return [int(count) for count in np.bincount(values.astype(np.int64), minlength=size)]


def _burstiness(arrivals: FloatArray) -> float:
    minutes = ((arrivals - arrivals.min()) // 60).astype(np.int64)
    total, squares = int(minutes.max()) + 1, np.unique(minutes, return_counts=True)[1].astype(float)
    mean = len(arrivals) / total
    return float((squares**2).sum() / total - mean**2) / mean
