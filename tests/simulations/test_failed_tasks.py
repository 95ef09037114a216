"""Tasks that Airflow gives up: counted, without a wait of their own; no promise is kept by losing them."""

from __future__ import annotations

import numpy as np
import pytest

from simulations.airflow import PLAIN, Airflow
from simulations.price import parse
from simulations.promise import promise_of
from simulations.run import FOR_EVER_SECONDS, SimulationError, simulate
from simulations.score import score
from simulations.slo import parse as parse_slo
from simulations.together import SimTarget, simulate_all
from simulations.trace import trace_of
from simulations.waits import of_ended
from tests.simulations.worlds import controller, service, tasks

IMPATIENT = Airflow(queued_timeout_seconds=60.0, requeues=0)
"""A task that is queued for a minute fails."""


def test_a_task_that_waits_too_long_fails_and_takes_its_descendants_along():
    """One worker of one slot: the first task runs 100 s, the second fails at 60, its child never runs."""
    trace = tasks((0, 100), (0, 10), (0, 10), edges=([1], [2]))
    result = simulate(trace, controller(1, 1, 1), service(1), 1, airflow=IMPATIENT)
    assert (result.failed_tasks, result.skipped_tasks) == (1, 1)
    assert list(np.isnan(result.ended_at)) == [False, True, True]
    assert list(result.waits_of_finished) == [0.0]
    assert list(result.promised_waits) == [0.0, FOR_EVER_SECONDS, FOR_EVER_SECONDS]
    assert result.worked_slot_seconds == 100.0
    figures = score(result, parse("1"))
    assert (figures.tasks, figures.failed_tasks, figures.skipped_tasks) == (3, 1, 1)
    assert (figures.wait_max_seconds, figures.makespan_seconds) == (0.0, 100.0)


def test_no_promise_is_kept_by_losing_tasks():
    """Every task that ran waited for nothing; a third of them did not run."""
    trace = tasks((0, 100), (0, 10), (200, 10))
    result = simulate(trace, controller(1, 1, 1), service(1), 1, airflow=IMPATIENT)
    assert result.waits_of_finished.max() == 0.0
    for text in ("p95 wait < 60s", "max wait < 60s", "mean wait < 60s"):
        assert not promise_of(parse_slo(text), [result]).kept
    assert promise_of(parse_slo("p60 wait < 60s"), [result]).kept


def test_tasks_that_need_no_worker_thin_out_no_wait():
    """Nine empty operators beside one task that waits for a launch: its wait is the mean."""
    trace = tasks((0, 10), *[(0, 0)] * 9, slots=[1, *[0] * 9])
    result = simulate(trace, controller(1, 0, 1), service(1, launch_seconds=60.0), 1, airflow=PLAIN)
    assert list(result.waits_of_finished) == [60.0]
    assert score(result, parse("1")).wait_mean_seconds == 60.0
    assert not promise_of(parse_slo("mean wait < 30s"), [result]).kept
    assert (len(of_ended(result, result.waited_seconds)), score(result, parse("1")).tasks) == (1, 10)
    nobody = tasks((0, 10), slots=[0])
    with pytest.raises(SimulationError, match="no task wants a worker"):
        simulate(nobody, controller(1, 0, 1), service(1), 1, airflow=PLAIN)


def test_each_target_has_its_own_failures():
    """The failing one, the child of its task in the other's queue, and the other's own task."""
    trace = trace_of(
        [0, 0, 0, 0],
        [100, 10, 10, 10],
        queue=[0, 0, 1, 1],
        queues=("a", "b"),
        edges=([1], [2]),
        starts_at=0.0,
    )
    targets = {name: SimTarget(controller(1, 1, 1), service(1), (name,)) for name in "ab"}
    both = simulate_all(trace, targets, 1, airflow=IMPATIENT)
    assert [(each.failed_tasks, each.skipped_tasks) for each in both.values()] == [(1, 0), (0, 1)]


def test_if_nothing_ever_ends_the_run_says_so():
    """No worker comes in time for any task."""
    slow = service(1, launch_seconds=1000.0)
    with pytest.raises(SimulationError, match=r"Airflow gave up every task: 2 waited too long"):
        simulate(tasks((0, 10), (5, 10)), controller(1, 0, 5), slow, 1, airflow=IMPATIENT)
