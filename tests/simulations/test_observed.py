"""What was: waits as recorded, and the least workers that what ran at once needed."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from simulations.observed import observed, started_in
from simulations.trace import TraceError


def seen(started, durations, slots=None, waits=None, per_worker=2):
    count = len(started)
    return observed(
        np.array(started, dtype=float),
        np.array(durations, dtype=float),
        np.ones(count, dtype=np.int64) if slots is None else np.array(slots),
        np.full(count, np.nan) if waits is None else np.array(waits, dtype=float),
        per_worker,
    )


def test_three_tasks_by_hand():
    """0-100 and 50-150 fill one worker of two slots; 60-80 beside them needs a second for 20 s."""
    needed = seen([0, 50, 60], [100, 100, 20]).needed
    assert (needed.busy_peak, needed.workers_peak) == (3, 2)
    assert needed.worker_hours == pytest.approx((150 + 20) / 3600)
    assert needed.workers_mean == pytest.approx(170 / 150)
    assert needed.busy_mean == pytest.approx(220 / 150)
    assert needed.slot_hours == pytest.approx(220 / 3600)


def test_a_slot_that_is_freed_is_taken_again():
    """At one instant: no second worker for the moment between an end and a start."""
    assert seen([0, 0, 100, 100], [100, 100, 50, 50]).needed.workers_peak == 1


def test_what_ran_on_no_worker_needs_none():
    assert seen([0, 0], [100, 100], slots=[1, 0], per_worker=1).needed.workers_peak == 1
    nothing = seen([0], [100], slots=[0]).needed
    assert (nothing.workers_peak, nothing.worker_hours) == (0, 0.0)


def test_the_least_workers_second_by_second():
    """Against counting every second of random days."""
    generator = np.random.default_rng(1)
    for _ in range(20):
        started, durations = generator.integers(0, 300, 40), generator.integers(0, 90, 40)
        slots = generator.integers(1, 3, 40)
        needed = seen(started, durations, slots=slots, per_worker=3).needed
        busy = np.zeros(400, dtype=int)
        for start, length, taken in zip(started, durations, slots, strict=True):
            busy[start : start + length] += taken
        assert needed.worker_hours * 3600 == pytest.approx((-(-busy // 3)).sum())
        assert needed.slot_hours * 3600 == pytest.approx(busy.sum())
        assert needed.workers_peak >= (-(-busy // 3)).max()


def test_waits_are_of_those_that_are_known():
    waits = seen([0, 0, 0], [1, 1, 1], waits=[10, np.nan, 20]).waits
    assert waits is not None
    assert (waits.tries, waits.mean_seconds, waits.max_seconds) == (2, 15, 20)
    assert seen([0], [1]).waits is None


def test_starts_come_from_the_exported_file(tmp_path):
    """A trace of another kind does not have them, and says so."""
    path = tmp_path / "t.parquet"
    instants = pl.Series("started_at", [1_772_431_200_500_000]).cast(pl.Datetime("us", "UTC"))
    pl.DataFrame([instants]).write_parquet(path)
    assert list(started_in(path)) == [1_772_431_200.5]
    pl.DataFrame({"queued_at": [1]}).write_parquet(path)
    with pytest.raises(TraceError, match="does not tell when each try started"):
        started_in(path)
