"""The checker: silent where all is well, and one clear line for each thing that can go wrong."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from simulations import events
from simulations.airflow import AIRFLOW_3, PLAIN
from simulations.checker import Checker, CheckError
from simulations.command import EXIT_DONE, Options, run_command
from simulations.price import parse
from simulations.run import SimulationError, simulate
from simulations.score import score
from simulations.service import LaunchDelay
from simulations.trace import trace_of
from simulations.world import World
from tests.simulations.worlds import controller, decide, service, tasks

FARGATE, MWAA = parse("x86:2:4"), parse("mw1.small")


def busy_trace(count=400):
    """Runs of three: one, one that waits for it, and one without a worker; bursts that need more workers."""
    generator = np.random.default_rng(7)
    queued_at = np.sort(generator.uniform(0, 3600, count))
    first = np.arange(0, count - 2, 3)
    slots = generator.integers(1, 3, count)
    slots[2::3] = 0
    return trace_of(
        queued_at,
        generator.exponential(40, count),
        slots=slots,
        edges=(np.concatenate([first, first]), np.concatenate([first + 1, first + 2])),
        pool=np.arange(count) % 2,
        pools=("default_pool", "db"),
        pool_slots=1,
        starts_at=0.0,
    )


def checked(trace, airflow=None, **model):
    """A run that is checked all along: (result, checker)."""
    fleet = service(4, launch_seconds=40.0, **model)
    checker = Checker(trace, fleet, airflow)
    result = simulate(trace, controller(4, 1, 12), fleet, 5, airflow=airflow, check=checker.look)
    return result, checker


@pytest.mark.parametrize(
    "airflow", [None, replace(AIRFLOW_3, pools={"db": 4}, parallelism=20), replace(PLAIN, parallelism=9)]
)
def test_an_honest_run_passes_every_check(airflow):
    """Kills, tails, pools, empty tasks and both price lists; each tick was looked at."""
    trace = busy_trace()
    fleet = replace(service(4, launch_seconds=40.0), launch=LaunchDelay(40.0, 0.3), reclaims_per_hour=2.0)
    checker = Checker(trace, fleet, airflow)
    result = simulate(trace, controller(4, 1, 12), fleet, 5, airflow=airflow, check=checker.look)
    for price in (FARGATE, MWAA):
        said = checker.conclude(result, score(result, price), price)
        assert said.startswith(f"checked: {result.ticks:,} ticks, 400 tasks, ")
    assert result.killed_tasks > 0
    assert checker.looks == result.ticks


class Played:
    """Two workers of two slots, tasks 1 to 4 running, task 5 in the queue, at 10 s."""

    def __init__(self):
        trace = tasks((0, 60), (0, 60), (0, 60), (0, 60), (0, 60), (100, 5))
        model = service(2)
        self.world, self.checker = World(trace, model, 1, workers=2), Checker(trace, model)
        self.world.advance(10.0)
        self.arrays = self.world.kernel._arrays

    def complaint(self):
        with pytest.raises(CheckError) as caught:
            self.checker.look(self.world)
        return str(caught.value)


def test_work_on_a_worker_that_does_not_run_is_found():
    """Planted: the second worker is stopped, but what it runs is kept."""
    played = Played()
    played.arrays.workers[events.RUNNING, 1] = 0
    assert (
        played.complaint() == "check: at 10 s of the trace: task '3' is held by worker-1, which does not run"
    )


def test_a_slot_that_is_booked_twice_is_found():
    """Planted: a task of the second worker runs on the first."""
    played = Played()
    leaves = played.arrays.leaves
    leaves[events.WORKER, leaves[events.HELD_BY] == 2] = 0
    assert played.complaint() == (
        "check: at 10 s of the trace: worker-0 has 2 slots, but 3 are held: by '1', '2', '3'"
    )


def test_a_task_that_runs_twice_is_found():
    """Planted: the second worker runs what the first does."""
    played = Played()
    leaves = played.arrays.leaves
    leaves[events.HELD_BY, leaves[events.HELD_BY] == 2] = 1
    assert played.complaint() == (
        "check: at 10 s of the trace: task '2' is held twice: by worker-0, worker-1"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (1, "7 tasks are left, 6 were: some came back"),
        (-1, "1 tasks are over, but by their own times 0 are"),
    ],
)
def test_tasks_that_come_back_or_vanish_are_found(change, said):
    """Planted: the count of unfinished tasks is off by one."""
    played = Played()
    played.world.kernel.unfinished += change
    assert played.complaint() == f"check: at 10 s of the trace: {said}"


def test_the_looks_of_a_world_that_kills_and_drains_are_honest():
    """Intake closed, workers stopped with their tasks, new ones: nothing to complain about."""
    trace = tasks(*((at, 30) for at in range(60)))
    model = service(2, launch_seconds=5.0, retry_delay_seconds=10.0)
    world, checker = World(trace, model, 1, workers=4), Checker(trace, model)
    for step, desired in enumerate((4, 1, 5, 2, 0, 3, 3, 3)):
        world.apply(decide(desired, intake_stopped={f"worker-{step}"} if step < 4 else ()))
        for second in range(15):
            world.advance(step * 15.0 + second)
            checker.look(world)
    assert world.kernel.killed_tasks > 0


def with_row(values, row, value):
    changed = values.copy()
    changed[row] = value
    return changed


def broken(result, name, row, value):
    return replace(result, **{name: with_row(getattr(result, name), row, value)})


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        (lambda r: broken(r, "ended_at", 1, np.nan), "1 tasks never ended, such as '2', but 0 failed"),
        (lambda r: broken(r, "started_at", 0, -1.0), "task '1' started before it was there"),
        (lambda r: broken(r, "queued_at", 0, 1e6), "task '1' started before it was queued"),
        (lambda r: broken(r, "ended_at", 0, r.ended_at[0] + 1), "task '1' ran for another time than its own"),
        (lambda r: broken(r, "waited_seconds", 3, -2.0), "task '4' waited for less than no time"),
        (lambda r: broken(r, "stopped_at", 0, 0.25), "slots more than the workers have"),
        (lambda r: broken(r, "created_at", 0, 1e6), "worker-0 was there before it was ordered"),
    ],
)
def test_a_wrong_result_is_found(planted, said):
    """One value of an honest result is changed: the line names the task or the worker, and the instant."""
    result, checker = checked(busy_trace())
    checker.finish(result)
    with pytest.raises(CheckError, match=r"^check: at [-\d.e+]+ s of the trace: .+") as caught:
        checker.finish(planted(result))
    assert said in str(caught.value)


def test_a_task_before_its_parent_is_found():
    """Planted: the second task's parent is one that ran after it."""
    trace = tasks((0, 10), (0, 10))
    result, checker = checked(trace)
    checker.finish(result)
    checker._trace = tasks((0, 10), (0, 10), edges=([0], [1]))
    with pytest.raises(CheckError, match="task '2' started, but its parent '1' ends at 10 s"):
        checker.finish(result)


def test_a_worker_that_holds_too_much_or_too_late_is_found():
    """Planted: all tasks are said to have run on one worker; where the kernel knows who ran where."""
    airflow = replace(PLAIN, parallelism=1000)
    result, checker = checked(busy_trace(), airflow)
    checker.finish(result)
    taken_by = checker._world.kernel.worker
    honest = taken_by.copy()
    taken_by[:] = np.where(honest >= 0, np.argmax(result.stopped_at - result.ready_at), -1)
    with pytest.raises(CheckError, match=r"worker-\d+"):
        checker.finish(result)
    taken_by[:] = honest
    last = int(np.argmax(result.created_at))
    taken_by[0] = last
    with pytest.raises(CheckError, match=f"task '1' ran on worker-{last}, which stopped at"):
        checker.finish(result)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"pools": {"db": 1}}, r"pool db holds \d of 1 when task .* is queued"),
        ({"parallelism": 1}, r"parallelism holds \d of 1 when task"),
    ],
)
def test_a_limit_that_is_not_kept_is_found(limits, said):
    """The run knew of no limit; the checker is told one."""
    trace = busy_trace()
    result, _ = checked(trace, replace(PLAIN, parallelism=1000))
    strict = Checker(trace, result.service, replace(PLAIN, **limits))
    with pytest.raises(CheckError, match=said):
        strict.finish(result)


@pytest.mark.parametrize("price", [FARGATE, MWAA])
@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ({"cost_vcpu_usd": 99.0}, "but its parts make"),
        ({"cost_usd": 12.5}, "the run costs $12.500000, but"),
        ({"billed_worker_hours": 1e4}, "10000 worker-hours are billed, but workers existed for"),
    ],
)
def test_money_that_does_not_add_up_is_found(price, planted, said):
    """One figure of an honest bill is changed."""
    result, checker = checked(busy_trace())
    figures = score(result, price)
    checker.bill(result, figures, price)
    if "billed_worker_hours" in planted:  # so that the dollars agree with the wrong hours
        bill = price.bill(1e4, figures.run_hours)
        parts = (bill.vcpu_usd, bill.memory_usd, bill.workers_usd)
        names = ("cost_vcpu_usd", "cost_memory_usd", "cost_workers_usd")
        planted = {**planted, "cost_usd": bill.total_usd, **dict(zip(names, parts, strict=True))}
    with pytest.raises(CheckError) as caught:
        checker.bill(result, replace(figures, **planted), price)
    assert said in str(caught.value)


@pytest.mark.parametrize("airflow", ["plain", "3.3"])
def test_a_user_asks_for_it(tmp_path, capsys, airflow):
    """The run says what was checked, in words or in JSON; a broken invariant is a run that failed."""
    path = tmp_path / "trace.csv"
    path.write_text("task_key,queued_at,duration_s\n" + "".join(f"t{n},{n},30\n" for n in range(20)))
    options = Options(path, 4, airflow=airflow, seed=1, check=True)
    assert run_command(options) == EXIT_DONE
    assert re.search(
        r"checked: [\d,]+ ticks, 20 tasks, \d+ workers; no invariant is broken", capsys.readouterr().out
    )
    assert run_command(replace(options, as_json=True)) == EXIT_DONE
    assert json.loads(capsys.readouterr().out)["checked"].endswith("no invariant is broken")
    assert issubclass(CheckError, SimulationError)  # exit code 1
