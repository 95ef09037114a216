"""Waits by group: against numpy one group at a time, and at the edges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from simulations import slo
from simulations.promise import promise_of
from simulations.report.timeline import timeline
from simulations.run import simulate
from simulations.trace import trace_of
from simulations.waits import grouped, waits_by
from simulations.waits_table import waits_of
from tests.simulations.worlds import controller, service, tasks

SHARES = (0.0, 0.5, 0.95, 1.0)


@settings(max_examples=60, deadline=None)
@given(
    waits=arrays(np.float64, st.integers(1, 60), elements=st.integers(0, 2**30).map(lambda n: n / 65_536)),
    seed=st.integers(0, 1000),
    groups=st.sampled_from([1, 2, 7, 100_000]),
)
def test_every_group_is_what_numpy_says_of_it_alone(waits, seed, groups):
    """Sizes, means, quantiles and maxima; groups without tasks have none."""
    group = np.random.default_rng(seed).integers(0, groups, len(waits))
    found = grouped(group, groups, waits, SHARES)
    for number in np.unique(group):
        mine = waits[group == number]
        assert found.tasks[number] == len(mine)
        assert found.mean[number] == pytest.approx(mine.mean())
        assert found.highest[number] == mine.max()
        for share, quantile in zip(SHARES, found.quantiles, strict=True):
            assert quantile[number] == pytest.approx(np.quantile(mine, share))
    assert np.isnan(found.mean).sum() == groups - len(np.unique(group))


def test_waits_of_years_in_very_many_groups_keep_their_order():
    """The key has no room for the finest resolution then: the coarser one is still far below a second."""
    group = np.array([999_999, 0, 999_999])
    found = grouped(group, 1_000_000, np.array([9e8, 1.25, 3.0]), (0.5,))
    assert found.highest[999_999] == pytest.approx(9e8, abs=0.01)
    assert found.highest[0] == pytest.approx(1.25, abs=0.01)
    assert found.quantiles[0][999_999] == pytest.approx((9e8 + 3) / 2, abs=0.01)


def test_who_waited_most_together_comes_first_and_misses_are_counted():
    """Three queues, one without a task; a wait of the limit itself breaks '<' and keeps '<='."""
    group, waits = np.array([0, 0, 0, 2]), np.array([0.0, 60.0, 61.0, 600.0])
    trace = trace_of([0.0] * 4, [1.0] * 4, queue=group, queues=("a", "b", "c"))
    result = replace(simulate(trace, controller(9, 1, 1), service(9), 1), waited_seconds=waits)
    strict = waits_of([result], "queue", slo.parse("p95 wait < 60s"))
    assert [(each.name, each.tasks, each.misses) for each in strict] == [("c", 1, 1), ("a", 3, 2)]
    lax = waits_of([result], "queue", slo.parse("p95 wait <= 60s"))
    assert [each.misses for each in lax] == [1, 1]
    assert strict[1].p50_seconds == 60.0
    assert waits_by(("a", "b", "c"), group, waits)[0].misses is None
    twice = waits_of([result, result], "queue", slo.parse("p95 wait < 60s"))
    assert [(each.name, each.tasks, each.misses) for each in twice] == [("c", 2, 2), ("a", 6, 4)]


def test_tasks_that_never_ended_have_no_wait_but_miss_every_promise():
    """Two of four, left out of figures and pictures."""
    result = simulate(tasks((0, 100), (0, 100), (0, 100), (0, 100)), controller(1, 1, 1), service(1), 1)
    lost = np.array([False, True, False, True])
    columns = {
        name: np.where(lost, np.nan, getattr(result, name))
        for name in ("queued_at", "started_at", "ended_at", "waited_seconds")
    }
    partly = replace(result, failed_tasks=2, **columns)
    slack = slo.parse("max wait <= 150s")
    (row,) = waits_of([partly], "queue", slack)
    whole = sorted(result.waited_seconds[~lost])
    assert (row.tasks, row.max_seconds) == (2, whole[-1])
    assert row.misses == promise_of(slack, [partly]).misses == 2 + 1
    line = timeline(partly, [0.0], [1])
    assert line.waits.tasks.sum() == 2
    assert line.load.highest.max() <= 2
