"""The world against queueing theory: Erlang C's waits, Pollaczek and Khinchine's, Little's law, conservation.

Every sample is so large that a world whose tasks run 2 % too long is refused: it is played and is refused.
"""

from __future__ import annotations

import numpy as np
import pytest

from simulations.run import simulate
from simulations.trace import trace_of
from simulations.world import World
from tests.simulations.queueing import (
    SECOND_MOMENTS,
    Sample,
    agrees,
    constant,
    erlang_c,
    mean_wait,
    mixed,
    pollaczek_khinchine,
)
from tests.simulations.worlds import controller, decide, service

PLANTED = 1.02


@pytest.mark.parametrize(
    ("servers", "slots", "load", "tasks"),
    [
        (1, 1, 0.5, 1_000_000),
        (3, 3, 1.8, 1_000_000),
        (20, 5, 16.0, 700_000),
        (60, 4, 54.0, 700_000),
        (220, 5, 207.0, 1_200_000),
    ],
)
def test_waits_are_erlangs(servers, slots, load, tasks):
    """M/M/c from one slot to 220 on many workers: how many wait and how long; 2 % more work is noticed."""
    assert 0.01 < erlang_c(servers, load) < 0.9, "theory says little where nobody or everybody waits"
    sample = Sample(servers, load, tasks, slots_per_worker=slots)
    assert agrees(sample.waiting(), erlang_c(servers, load))
    assert agrees(sample.wait(), mean_wait(servers, load))
    for factor in (PLANTED, 1 / PLANTED):
        wrong = Sample(servers, load, tasks, slots_per_worker=slots, factor=factor)
        assert not agrees(wrong.waiting(), erlang_c(servers, load))
        assert not agrees(wrong.wait(), mean_wait(servers, load))


def test_waits_that_are_themselves_two_percent_off_would_be_refused():
    """Where waits scatter little enough, not only a wrong load but a wrong wait of 2 % is noticed."""
    mean, error = Sample(1, 0.5, 3_000_000).wait()
    assert agrees((mean, error), mean_wait(1, 0.5))
    for factor in (PLANTED, 1 / PLANTED):
        assert not agrees((mean * factor, error * factor), mean_wait(1, 0.5))


@pytest.mark.parametrize("law", [constant, mixed])
@pytest.mark.parametrize("load", [0.3, 0.7])
def test_waits_of_other_work_are_pollaczeks_and_khinchines(law, load):
    """M/D/1, and M/G/1 with work twice as varied as the exponential; 2 % more work is noticed."""
    expected = pollaczek_khinchine(load, SECOND_MOMENTS[law])
    assert agrees(Sample(1, load, 1_000_000, service=law).wait(), expected)
    for factor in (PLANTED, 1 / PLANTED):
        assert not agrees(Sample(1, load, 1_000_000, service=law, factor=factor).wait(), expected)


def test_little_holds_exactly_however_the_fleet_moves():
    """The time integral of the seen queue is the sum of all waits, through kills and retries too."""
    generator = np.random.default_rng(3)
    # On a grid of quarter seconds the queue is constant between two looks, so the sum is the integral.
    queued_at = np.sort(generator.integers(0, 800, 300)) / 4
    duration = generator.integers(1, 40, 300) / 4
    world = World(trace_of(queued_at, duration, starts_at=0.0), service(2, launch_seconds=3.0), 1, workers=2)
    integral, busy, steps = 0.0, 0.0, 0
    while world.kernel.unfinished:
        if steps % 16 == 0:
            world.apply(decide(int(generator.integers(1, 5))))
            world.advance(world.now)
        demand = world.demand()
        integral += demand.queued * 0.25
        busy += demand.running * 0.25
        steps += 1
        world.advance(steps / 4)
    assert world.kernel.killed_tasks > 10, "the fleet must have moved for this to mean something"
    assert integral == sum(world.kernel.waited_seconds)
    assert busy == duration.sum() + world.kernel.lost_slot_seconds


def test_no_task_is_lost_twice_run_or_forgotten():
    """At every look tasks queued, running, ended and yet to come add up, and slots are never overbooked."""
    generator = np.random.default_rng(5)
    queued_at, duration = np.sort(generator.uniform(0, 3000, 500)), generator.exponential(60, 500)
    trace = trace_of(queued_at, duration, starts_at=0.0)
    looks = []

    def looked(observation, decision):
        demand, capacity = observation.demand, observation.capacity
        come = int((trace.queued_at <= observation.at).sum())
        assert 0 <= demand.running <= 4 * capacity.running
        assert demand.load <= come
        looks.append(demand.load)

    result = simulate(trace, controller(4, 1, 20), service(4), 9, on_step=looked)
    assert max(looks) > 4
    assert looks[-1] == 0
    assert result.killed_tasks == 0
    assert (result.started_at >= result.queued_at).all()
    assert np.array_equal(result.ended_at, result.started_at + trace.duration_seconds)
    assert np.array_equal(result.waited_seconds, result.started_at - result.queued_at)
