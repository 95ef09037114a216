"""The world against queueing theory: Erlang C's waits, Little's law, conservation."""

from __future__ import annotations

import numpy as np
import pytest

from simulations.run import simulate
from simulations.trace import trace_of
from simulations.world import World
from tests.simulations.worlds import controller, decide, service

BATCHES = 50
MEAN_SECONDS = 10.0


def erlang_c(servers, load):
    """P(wait) of M/M/c, through Erlang B's recursion, which does not overflow."""
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked / (1 - (load / servers) * (1 - blocked))


def mean_wait(servers, load):
    return erlang_c(servers, load) * MEAN_SECONDS / (servers - load)


class Sample:
    """Waits of M/M/c on a fixed fleet, in batches; the first one is warm-up and left out."""

    def __init__(self, servers, load, tasks):
        generator = np.random.default_rng(12)
        duration = generator.exponential(MEAN_SECONDS, tasks)
        gap = generator.exponential(MEAN_SECONDS / load, tasks)
        queued_at = np.cumsum(gap)
        world = World(trace_of(queued_at, duration), service(servers), 1, workers=1)
        world.advance(world.now + float(queued_at[-1]) + 10_000_000.0)
        self.waits = np.frombuffer(world.kernel.waited_seconds)
        # What is known of the input explains much of the scatter: batches that by chance were longer or
        # closer together than they should be also waited more.
        self.luck = np.column_stack(
            [self.means(duration) - MEAN_SECONDS, self.means(gap) - MEAN_SECONDS / load]
        )

    @staticmethod
    def means(values):
        return np.array([batch.mean() for batch in np.array_split(values, BATCHES)[1:]])

    def mean(self, values):
        """(mean, standard error) with the input's luck regressed out.

        Batches of thousands of tasks are nearly independent, so their scatter is the mean's error.
        """
        means = self.means(values)
        design = np.column_stack([np.ones(len(means)), self.luck])
        fitted = np.linalg.solve(design.T @ design, design.T @ means)
        variance = ((means - design @ fitted) ** 2).sum() / (len(means) - design.shape[1])
        return fitted[0], np.sqrt(variance * np.linalg.inv(design.T @ design)[0, 0])


def agrees(measured, expected):
    """Within three standard errors: with 1.1 % each, a bias of 5 % lies a further 1.5 away."""
    mean, error = measured
    return abs(mean - expected) < 3 * error


def biased(measured, factor):
    return measured[0] * factor, measured[1] * factor


@pytest.mark.parametrize(("servers", "load", "tasks"), [(1, 0.5, 200_000), (3, 1.8, 450_000)])
def test_waits_are_erlangs_to_a_few_percent(servers, load, tasks):
    """Mean wait and share of waiting tasks are M/M/c's; results 5 % off either way would be refused.

    The sample sizes make the standard error at most 1.1 %.
    """
    sample = Sample(servers, load, tasks)
    for measured, expected in (
        (sample.mean((sample.waits > 0).astype(float)), erlang_c(servers, load)),
        (sample.mean(sample.waits), mean_wait(servers, load)),
    ):
        assert measured[1] < 0.011 * expected, f"sample too small: {measured[1] / expected:.2%}"
        assert agrees(measured, expected)
        assert not agrees(biased(measured, 1.05), expected)
        assert not agrees(biased(measured, 0.95), expected)


@pytest.mark.parametrize(("servers", "load", "tasks"), [(20, 16.0, 150_000), (220, 207.0, 200_000)])
def test_waits_of_many_servers_are_erlangs(servers, load, tasks):
    """Up to 220 slots; a world whose tasks run 5 % too long or too short would be refused.

    Waits scatter so much here that 5 % of themselves cannot be told with affordable samples, but
    5 % of service time moves them by a third and more.
    """
    sample = Sample(servers, load, tasks)
    waiting, wait = sample.mean((sample.waits > 0).astype(float)), sample.mean(sample.waits)
    assert 0.01 < erlang_c(servers, load) < 0.9, "theory says little where nobody or everybody waits"
    assert agrees(waiting, erlang_c(servers, load))
    assert agrees(wait, mean_wait(servers, load))
    for factor in (0.95, 1.05):
        assert not agrees(waiting, erlang_c(servers, load * factor))
        assert not agrees(wait, mean_wait(servers, load * factor))


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
