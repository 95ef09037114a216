"""What was: the waits that the recorded system showed, and the workers that its running tasks needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from policies.model import FloatArray, IntArray
from simulations.trace import TraceError

HOUR = 3600.0
PERCENTILES = (50, 95, 99, 100)


@dataclass(frozen=True, slots=True)
class Waits:
    """Waits from queued to started, in seconds, over the tries of which they are known."""

    tries: int
    mean_seconds: float
    p50_seconds: float
    p95_seconds: float
    p99_seconds: float
    max_seconds: float


@dataclass(frozen=True, slots=True)
class Needed:
    """What ran at once, and the least workers that this needed, were they filled to the last slot."""

    slots_per_worker: int
    span_hours: float
    """From the first start to the last end."""
    slot_hours: float
    busy_mean: float
    """Busy slots over the span."""
    busy_peak: int
    workers_mean: float
    workers_peak: int
    worker_hours: float


@dataclass(frozen=True, slots=True)
class Observed:
    """Both; no fleet can have been smaller than the second."""

    waits: Waits | None
    """None: no wait was kept."""
    needed: Needed


def observed(
    started_at: FloatArray,
    duration_seconds: FloatArray,
    slots: IntArray,
    wait_seconds: FloatArray,
    slots_per_worker: int,
) -> Observed:
    """From columns by try; an unknown wait is NaN, and a try of 0 slots ran on no worker."""
    on_worker = slots > 0
    needed = _needed(started_at[on_worker], duration_seconds[on_worker], slots[on_worker], slots_per_worker)
    known = wait_seconds[~np.isnan(wait_seconds)]
    if not len(known):
        return Observed(None, needed)
    percentiles = (float(each) for each in np.percentile(known, PERCENTILES))
    return Observed(Waits(len(known), float(known.mean()), *percentiles), needed)


def _needed(started_at: FloatArray, duration: FloatArray, slots: IntArray, per_worker: int) -> Needed:
    if not len(started_at):
        return Needed(per_worker, 0.0, 0.0, 0.0, 0, 0.0, 0, 0.0)
    instants = np.concatenate((started_at + duration, started_at))
    order = np.argsort(instants, kind="stable")  # at one instant the ends come first
    busy = np.cumsum(np.concatenate((-slots, slots))[order])
    length = np.diff(instants[order], append=instants[order][-1])
    workers = -(-busy // per_worker)
    span = float(length.sum()) or 1.0
    return Needed(
        per_worker,
        span_hours=span / HOUR,
        slot_hours=float(busy @ length) / HOUR,
        busy_mean=float(busy @ length) / span,
        busy_peak=int(busy.max()),
        workers_mean=float(workers @ length) / span,
        workers_peak=int(workers.max()),
        worker_hours=float(workers @ length) / HOUR,
    )


def started_in(path: Path) -> FloatArray:
    """Unix seconds of each try's start, from an exported trace.  Raises `TraceError` if it has none."""
    import polars as pl  # noqa: PLC0415 - heavy, and only needed where a file is read

    try:
        column = pl.read_parquet(path, columns=["started_at"])["started_at"]
    except (OSError, pl.exceptions.PolarsError):
        raise TraceError(f"{path}: it does not tell when each try started; export it anew") from None
    started: FloatArray = column.dt.timestamp("us").cast(pl.Float64).to_numpy() / 1e6
    return started
