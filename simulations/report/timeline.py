"""A run over time in a few thousand points, each with its lowest, mean and highest value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from policies.model import FloatArray, IntArray
from simulations.run import Result
from simulations.waits import Grouped, grouped, of_ended

MOST_BINS = 2_000
"""Twice what a wide screen shows at a time: room for zooming in, whatever the run's length."""
SAMPLES_PER_BIN = 16
"""A bin's lowest, mean and highest are taken over that many instants: in a week 19 s apart."""
WAIT_BINS_EVERY = 4
"""Waits are percentiles of the tasks of a bin and need some: their bins are so many times as wide."""
SHORTEST_BIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One quantity by bin."""

    lowest: FloatArray
    mean: FloatArray
    highest: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """A run by equal spans of time."""

    starts_at: float
    """Unix seconds."""
    bin_seconds: float
    bins: int
    """A multiple of `WAIT_BINS_EVERY`."""
    slots_per_worker: int
    sample_times: FloatArray
    """Of the instants that the series were taken from."""
    ready_samples: FloatArray
    load: Series
    """Slots wanted: queued and running."""
    running: Series
    """Slots in which a task runs."""
    ready: Series
    """Workers that take tasks."""
    pending: Series
    """Workers on their way."""
    desired: Series
    waits: Grouped
    """Waits by the instant of queueing, `WAIT_BINS_EVERY` bins together; quantiles p50 and p95."""

    @property
    def ends_at(self) -> float:
        """Unix seconds."""
        return self.starts_at + self.bins * self.bin_seconds


def timeline(result: Result, desired_at: Sequence[float], desired: Sequence[int]) -> Timeline:
    """The run from its first tick to its end.

    `desired_at`, `desired`: when the desired count became what, the first entry at the start.  Of a task
    that lost its worker only the last try is seen, of one that never ended nothing.
    """
    starts_at = result.trace.starts_at
    length = max(result.finished_at - starts_at, WAIT_BINS_EVERY * SHORTEST_BIN_SECONDS)
    bins = int(min(MOST_BINS, length // SHORTEST_BIN_SECONDS))
    bins -= bins % WAIT_BINS_EVERY
    bin_seconds = length / bins
    step = bin_seconds / SAMPLES_PER_BIN
    times: FloatArray = starts_at + step * np.arange(bins * SAMPLES_PER_BIN, dtype=np.float64)

    def level(since: FloatArray, until: FloatArray, weights: IntArray | None = None) -> FloatArray:
        """How much is there at each instant, of what is there from `since` to `until`."""
        changes = np.zeros(len(times) + 1)
        for at, sign in ((since, 1.0), (until, -1.0)):
            places = np.clip(np.ceil((at - starts_at) / step), 0, len(times)).astype(np.int64)
            changes += sign * np.bincount(places, weights=weights, minlength=len(changes))
        return np.cumsum(changes[:-1])

    slots = of_ended(result, result.trace.slots)
    queued_at, started_at = of_ended(result, result.queued_at), of_ended(result, result.started_at)
    running = level(started_at, of_ended(result, result.ended_at), slots)
    load = running + level(queued_at, started_at, slots)
    ready = level(np.minimum(result.ready_at, result.stopped_at), result.stopped_at)
    pending = level(result.created_at, np.minimum(result.ready_at, result.stopped_at))
    place = np.searchsorted(np.asarray(desired_at), times, side="right") - 1
    wanted = np.asarray(desired, dtype=float)[np.maximum(place, 0)]
    queued_bin = ((queued_at - starts_at) // (bin_seconds * WAIT_BINS_EVERY)).astype(np.int64)
    wait_bins = bins // WAIT_BINS_EVERY
    return Timeline(
        starts_at=starts_at,
        bin_seconds=bin_seconds,
        bins=bins,
        slots_per_worker=result.service.slots_per_worker,
        sample_times=times,
        ready_samples=ready,
        load=_binned(load),
        running=_binned(running),
        ready=_binned(ready),
        pending=_binned(pending),
        desired=_binned(wanted),
        waits=grouped(
            np.clip(queued_bin, 0, wait_bins - 1),
            wait_bins,
            of_ended(result, result.waited_seconds),
            (0.5, 0.95),
        ),
    )


def _binned(samples: FloatArray) -> Series:
    rows = samples.reshape(-1, SAMPLES_PER_BIN)
    return Series(rows.min(axis=1), rows.mean(axis=1), rows.max(axis=1))
