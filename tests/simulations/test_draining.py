"""The benchmark of draining: what it compares is comparable."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.draining import (
    CAREFUL,
    GATHER,
    IDLE,
    TOLERANCE,
    WHEN_IDLE,
    Bench,
    Setup,
    comparisons,
    first_days,
)
from simulations.trace import trace_of

HOUR = 3600.0


@pytest.fixture(scope="module")
def bursts():
    """Two hours in which one slot is always busy, and forty tasks come at once every ten minutes."""
    steady = np.arange(0, 2 * HOUR, 60.0)
    burst = np.repeat(np.arange(0, 2 * HOUR, 600.0), 40)
    queued = np.concatenate([steady, burst])
    duration = np.concatenate([np.full(len(steady), 90.0), np.full(len(burst), 45.0)])
    order = np.argsort(queued, kind="stable")
    return trace_of(queued[order], duration[order], keys=[f"t{row}" for row in range(len(queued))])


def test_waits_are_equal_before_worker_hours_are_compared(bursts):
    """No way waits longer than what it is compared with, and following the load saves worker-hours."""
    found = comparisons(Bench(Setup(Path("bursts.parquet"), 4, 12, 1.0), bursts, 10.0, 1))
    assert [row.way for row in found[WHEN_IDLE]] == [WHEN_IDLE, CAREFUL, IDLE, GATHER]
    assert [row.way for row in found[CAREFUL]] == [CAREFUL, IDLE, GATHER]
    for first, *others in found.values():
        assert all(row.wait_p95_seconds <= TOLERANCE * first.wait_p95_seconds for row in others)
        assert all(row.killed_tasks == 0 for row in others if row.way in {IDLE, GATHER})
    assert found[CAREFUL][0].worker_hours < found[WHEN_IDLE][0].worker_hours


def test_a_wait_that_no_window_keeps_has_no_row(bursts):
    assert Bench(Setup(Path("bursts.parquet"), 4, 12, 1.0), bursts, 10.0, 1).matched(CAREFUL, 0.0) is None


def test_only_the_first_days_are_played(bursts):
    assert len(first_days(bursts, 0.5 / 24)) == np.sum(bursts.queued_at < HOUR / 2)
    assert first_days(bursts, 1.0) is bursts
    with pytest.raises(ValueError, match="no task comes in the first 0 days"):
        first_days(bursts, 0.0)
