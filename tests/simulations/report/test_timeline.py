"""A run over time: worked out by hand, and against a count instant by instant."""

from __future__ import annotations

import numpy as np
import pytest

from simulations.report.timeline import MOST_BINS, SAMPLES_PER_BIN, WAIT_BINS_EVERY, timeline
from simulations.run import simulate
from simulations.trace import trace_of
from tests.simulations.report.pages import story
from tests.simulations.worlds import controller, service, tasks


def run(trace, *, slots=1, maximum=1, tick_seconds=20):
    return simulate(trace, controller(slots, 1, maximum), service(slots), 1, tick_seconds=tick_seconds)


def test_two_tasks_on_one_worker_by_hand():
    """Both queued at 0, 100 s each: two wanted for 100 s, then one; the second waits 100 s."""
    line = timeline(run(tasks((0, 100), (0, 100))), [0.0], [1])
    assert (line.starts_at, line.bin_seconds, line.bins, line.ends_at) == (0.0, 1.0, 200, 200.0)
    assert line.load.mean[[0, 50, 99, 100, 150, 199]].tolist() == [2, 2, 2, 1, 1, 1]
    assert line.running.mean.tolist() == [1.0] * 200
    assert line.ready.mean.tolist() == [1.0] * 200
    assert line.pending.highest.max() == 0
    assert line.waits.tasks.tolist() == [2, *[0] * (200 // WAIT_BINS_EVERY - 1)]
    assert line.waits.highest[0] == 100.0
    assert np.isnan(line.waits.highest[1:]).all()


def test_levels_are_what_a_count_at_each_instant_says():
    """Load, running, ready and pending of a busy run with slots of different width."""
    generator = np.random.default_rng(3)
    trace = trace_of(generator.uniform(0, 4000, 400), generator.uniform(1, 200, 400),
                     slots=generator.integers(1, 3, 400))  # fmt: skip
    result = run(trace, slots=4, maximum=8)
    line = timeline(result, [trace.starts_at], [1])
    times, slots = line.sample_times, trace.slots

    def held(since, until, weights):
        return [weights[(since <= at) & (at < until)].sum() for at in times]

    running = held(result.started_at, result.ended_at, slots)
    assert line.running.mean == pytest.approx(np.reshape(running, (-1, SAMPLES_PER_BIN)).mean(axis=1))
    load = held(result.queued_at, result.ended_at, slots)
    assert line.load.highest.tolist() == np.reshape(load, (-1, SAMPLES_PER_BIN)).max(axis=1).tolist()
    one = np.ones(len(result.created_at))
    assert line.ready_samples.tolist() == held(result.ready_at, result.stopped_at, one)
    pending = held(result.created_at, np.minimum(result.ready_at, result.stopped_at), one)
    assert line.pending.highest.tolist() == np.reshape(pending, (-1, SAMPLES_PER_BIN)).max(axis=1).tolist()
    assert line.waits.tasks.sum() == 400


def test_the_desired_count_is_what_was_last_decided():
    """From the instant of the decision on."""
    line = timeline(run(tasks((0, 100), (0, 100))), [0.0, 60.0, 120.0], [1, 5, 2])
    assert line.desired.mean[[0, 59, 60, 119, 120, 199]].tolist() == [1, 1, 5, 5, 2, 2]


def test_a_year_is_no_more_than_some_thousand_points():
    """A bin keeps its highest value, however short it lasted beside the bin."""
    day = 86_400.0
    year = tasks(*[(each * 3 * day, 7200) for each in range(120)])
    line = timeline(run(year, tick_seconds=3600), [0.0], [1])
    assert line.bins == MOST_BINS
    assert line.load.highest.max() == 1
    assert 0 < line.load.mean.max() < 1
    assert line.load.lowest.max() == 0


def test_the_recorder_has_seen_the_size_that_the_world_had():
    """Desired is never below what is ready and on its way, between two decisions."""
    told = story()
    line = timeline(told.result, told.recorder.desired_at, told.recorder.desired)
    assert line.desired.highest.max() == told.figures.peak_workers
    assert (line.desired.highest >= line.ready.highest).all()
