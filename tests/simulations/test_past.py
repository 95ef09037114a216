"""What a simulated Airflow's history lets one expect of the running tasks."""

import numpy as np
import pytest

from policies.model import Decision
from simulations.airflow import AIRFLOW_3, PLAIN
from simulations.past import RECENT, expected_seconds
from simulations.service import LaunchDelay, ServiceModel
from simulations.trace import trace_of
from simulations.world import World

NAN = float("nan")


def test_only_what_has_ended_is_known():
    """The third task comes while the second still runs; the fourth knows both."""
    trace = trace_of([0, 10, 20, 200], [5, 100, 7, 1])
    expected = [NAN, 5, 5, (5 + 100 + 7) / 3]
    assert expected_seconds(trace).tolist() == pytest.approx(expected, nan_ok=True)


def test_another_dags_tasks_say_nothing():
    trace = trace_of([0, 10, 20, 30], [5, 1, 1, 1], dag=[0, 1, 0, 1], dags=("a", "b"))
    assert expected_seconds(trace).tolist() == pytest.approx([NAN, NAN, 5, 1], nan_ok=True)


def test_what_was_long_ago_is_forgotten():
    durations = [100.0] + [2.0] * RECENT + [1.0]
    trace = trace_of([200.0 * number for number in range(len(durations))], durations)
    assert expected_seconds(trace)[-2:].tolist() == [(100 + 2 * (RECENT - 1)) / RECENT, 2]


@pytest.mark.parametrize("airflow", [PLAIN, AIRFLOW_3], ids=["plain", "airflow"])
def test_a_busy_worker_shows_what_is_left_of_its_longest_task(airflow):
    """Of two tasks that took 100 s before, one has run for 40 s; later it has outlived what was expected."""
    trace = trace_of([0, 200, 230, 260], [100, 500, 100, 100])
    service = ServiceModel(1, LaunchDelay(1.0, 0.0))
    world = World(trace, service, 1, workers=2, airflow=airflow, tells_work_left=True)
    world.advance(world.now + 240.0)
    left = world.busy().work_left_by_host
    assert sorted(left.values()) == pytest.approx([60, 90], abs=8)
    world.advance(world.now + 80.0)
    assert np.isnan(list(world.busy().work_left_by_host.values())).any()


def test_nobody_is_told_who_did_not_ask():
    world = World(trace_of([0], [100]), ServiceModel(1, LaunchDelay(1.0, 0.0)), 1, workers=1)
    world.apply(Decision(1, ()))
    world.advance(world.now + 10.0)
    assert world.busy().work_left_by_host == {}
