"""Whole runs: out and back, the same for a seed, and a clear end where there can be none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from autoscaler.core.alarms import Watch
from autoscaler.core.budget import Budget
from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds, GuardChain
from autoscaler.core.removal import SafeRemoval
from policies.model import Reason, Recommendation
from policies.mwaa import ScaleIn
from simulations.run import SimulationError, simulate
from simulations.service import ServiceModel
from simulations.trace import trace_of
from tests.simulations.worlds import controller, service, tasks

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Always:
    """Wants this many workers, whatever happens; with `until`, none from then on."""

    workers: float
    until: float = float("inf")

    monotone: ClassVar[bool] = True
    memory_type: ClassVar[Any] = None
    window_seconds: ClassVar[float] = 0.0

    def initial(self):
        return None

    def recommend(self, memory, history):
        wanted = self.workers if history.latest.at < self.until else 0.0
        return memory, Recommendation(wanted, Reason.SCHEDULE)


def stubborn(workers, minimum=0, maximum=10, until=float("inf")):
    return Controller(Always(workers, until), GuardChain(Bounds(minimum, maximum)), Watch(1, maximum))


def burst(seed=1, count=60):
    generator = np.random.default_rng(seed)
    return trace_of(generator.uniform(0, 600, count), generator.exponential(120, count), starts_at=0.0)


def test_a_budget_bounds_what_a_load_can_use_and_delays_it():
    """A working day's load for eight workers, paid for three: the same tasks end, hours later."""
    load = burst(count=2400)
    load = trace_of(load.queued_at * 48, load.duration_seconds * 4, starts_at=0.0)
    free = replace(controller(5, 1, 20), way_in=SafeRemoval(consolidates=True))
    budget = Budget(worker_hours_per_day=72, burst_worker_hours=40, floor_workers=1)
    bound = replace(free, guards=replace(free.guards, budget=budget))
    steps = []
    lavish = simulate(load, free, service(5, launch_seconds=60.0), 1)
    thrifty = simulate(
        load, bound, service(5, launch_seconds=60.0), 1, on_step=lambda _, decision: steps.append(decision)
    )
    assert not np.isnan(thrifty.ended_at).any()
    assert thrifty.waited_seconds.mean() > 10 * lavish.waited_seconds.mean()
    used = (thrifty.stopped_at - thrifty.created_at).sum() / 3600
    came_in = 72 * thrifty.finished_at / DAY
    left = steps[-1].budget.worker_hours
    assert used == pytest.approx(40 / 4 + came_in - left, rel=0.001)
    reasons = {stage.reason for step in steps for stage in step.trail}
    assert {Reason.BUDGET_LOW, Reason.BUDGET_SPENT} <= reasons


def test_a_burst_drives_the_fleet_out_and_back():
    """Twenty tasks at once on four slots a worker: five workers, one launch later, and back to one."""
    steps = []
    result = simulate(
        tasks(*[(100, 300)] * 20),
        controller(4, 1, 10),
        service(4, launch_seconds=60.0),
        1,
        tick_seconds=10,
        on_step=lambda observation, decision: steps.append((observation, decision)),
    )
    desired = {seen.at: seen.capacity.desired for seen, _ in steps}
    assert (desired[100.0], desired[110.0]) == (1, 5)
    assert result.peak_workers == 5
    assert sorted(result.waited_seconds) == [0.0] * 4 + [60.0] * 16
    assert (result.scale_outs, result.killed_tasks, result.settled) == (1, 0, True)
    last, decision = steps[-1]
    assert (decision.desired, last.at, len(steps)) == (1, result.finished_at, result.ticks)


def test_when_idle_keeps_the_fleet_until_two_quiet_minutes():
    """MWAA's first rule: no scale-in while anything runs, then all at once."""
    result = simulate(
        tasks(*[(0, 60)] * 12, (0, 1000)),
        controller(4, 1, 10, ScaleIn.WHEN_IDLE),
        service(4),
        1,
        tick_seconds=10,
    )
    assert result.scale_ins == 1
    # The long task waits a launch or a round: it ends at 1060.  Two minutes of quiet, and one tick to see
    # who is busy before anybody leaves.
    assert result.ended_at.max() == 1060.0
    assert set(result.stopped_at) == {1060.0 + 120.0 + 10.0}


def test_the_controller_puts_no_task_at_risk_while_it_shrinks():
    """Continuous scale-in under load: many ways in, and not one task killed."""
    result = simulate(burst(count=400), controller(2, 1, 40), ServiceModel(2), 3, tick_seconds=10)
    assert result.scale_ins > 10
    assert result.killed_tasks == 0


def test_a_seed_gives_the_same_run_to_the_last_bit():
    """And another seed another one."""

    def run(seed):
        result = simulate(burst(), controller(1, 1, 20), ServiceModel(1), seed)
        return result.started_at.tobytes(), result.ready_at.tobytes(), result.stopped_at.tobytes()

    assert run(4) == run(4)
    assert run(4) != run(5)


def test_a_task_wider_than_a_worker_is_refused_at_once():
    """With its row and what to do."""
    with pytest.raises(
        SimulationError, match=r"trace: row 2, column slots: task '2' wants 5, a worker has 4"
    ):
        simulate(tasks((0, 1), (0, 1), slots=[4, 5]), controller(4, 1, 2), service(4), 1)


def test_a_maximum_of_none_is_refused_at_once():
    """No task can ever run."""
    with pytest.raises(SimulationError, match="the maximum is 0 workers"):
        simulate(tasks((0, 1)), controller(4, 0, 0), service(4), 1)


def test_a_fleet_that_never_comes_ends_with_an_error():
    """A policy that wants nobody: after eight days of silence the run says so."""
    with pytest.raises(
        SimulationError, match=r"no task has ended for 8 days .* 2 of 2 are left, 2 slots are wanted"
    ):
        simulate(tasks((0, 1), (0, 1)), stubborn(0), service(), 1, tick_seconds=3600)


def test_a_fleet_that_is_taken_away_for_ever_ends_with_an_error():
    """The first task is served, then the policy gives up."""
    with pytest.raises(SimulationError, match="1 of 2 are left"):
        simulate(tasks((0, 1), (DAY, 1)), stubborn(1, until=3600.0), service(), 1, tick_seconds=600)


def test_a_quiet_trace_is_no_stuck_one():
    """Twelve days without a task, then one."""
    result = simulate(tasks((0, 1), (12 * DAY, 1)), controller(1, 1, 2), service(), 1, tick_seconds=3600)
    assert result.ended_at[1] == 12 * DAY + 1
    assert result.settled


def test_a_task_of_many_days_is_no_stuck_one():
    """Longer than the patience itself."""
    result = simulate(tasks((0, 20 * DAY)), controller(1, 1, 2), service(), 1, tick_seconds=3600)
    assert result.ended_at[0] == 20 * DAY


def test_a_fleet_that_stays_above_its_minimum_ends_after_a_day():
    """The result says that it did not settle."""
    result = simulate(tasks((0, 60)), stubborn(3), service(), 1, tick_seconds=600)
    assert not result.settled
    assert result.finished_at == 600 + DAY


@pytest.mark.parametrize("tick_seconds", [0.0, -1.0, 1e-9])
def test_a_tick_takes_time(tick_seconds):
    """Zero, negative, or below what the world can tell apart."""
    with pytest.raises(ValueError, match="a tick must be longer than 0 s"):
        simulate(tasks((0, 1)), controller(1, 1, 2), service(), 1, tick_seconds=tick_seconds)


def test_progress_is_told_and_only_rises():
    """Now and then, with tasks ended so far."""
    told = []
    simulate(
        burst(count=400), controller(1, 1, 5), ServiceModel(1), 3, tick_seconds=5, on_progress=told.append
    )
    assert told == sorted(told)
    assert len(told) > 0
    assert told[-1] <= 400
