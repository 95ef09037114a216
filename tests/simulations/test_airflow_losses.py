"""The modelled Airflow when things go wrong: lost workers, retries, timeouts, failures, drains."""

from __future__ import annotations

from dataclasses import replace

from simulations.airflow import PLAIN, WorkerChoice
from simulations.airflow_kernel import AirflowKernel, LineSpec
from simulations.quantiles import constant
from tests.simulations.airflow_worlds import kernel_of, rows_of, started

SLOW = replace(PLAIN, heartbeat_timeout_seconds=30.0, retry_delay_seconds=60.0)


def test_a_lost_task_is_noticed_late_and_retried_later():
    """Until it is noticed it counts as running and holds its pool; then it starts over."""
    trace = rows_of((0, 100), (0, 1), pool=["db", "db"])
    kernel = kernel_of(trace, replace(SLOW, pools={"db": 1}), workers=2)
    line = kernel.lines[0]
    kernel.advance(10)
    line.stop(0)
    assert (kernel.killed_tasks, kernel.lost_slot_seconds, line.running_workers) == (1, 10.0, 1)
    kernel.advance(39.5)
    assert (line.running_slots, line.busy_slots.tolist()[:2], line.scheduled_slots) == (1, [0, 0], 1)
    kernel.advance(40)
    assert (line.running_slots, line.queued_slots, line.scheduled_slots) == (1, 0, 0)
    kernel.advance(1000)
    assert started(kernel) == [100, 40]
    assert kernel.waited_seconds.tolist() == [0, 40]
    assert kernel.unfinished == 0


def test_a_task_that_was_just_starting_is_lost_too():
    """It was queued for all to see; from its loss on it counts as running, and no work was lost."""
    kernel = kernel_of(rows_of((0, 100)), replace(SLOW, start_delay=constant(5.0)))
    line = kernel.lines[0]
    kernel.advance(2)
    assert (line.queued_slots, line.running_slots) == (1, 0)
    line.stop(0)
    assert (line.queued_slots, line.running_slots, kernel.lost_slot_seconds) == (0, 1, 0.0)
    line.launch(50)
    kernel.advance(1000)
    assert started(kernel) == [97]


def test_tries_run_out():
    """A task lost too often fails; what hangs on it, however far below, is skipped, the rest goes on."""
    trace = rows_of((0, 50), (0, 1), (0, 1), (0, 1), parents={1: [0], 2: [1, 3]}, slots=[1, 1, 1, 0])
    kernel = kernel_of(trace, replace(SLOW, retries=1))
    line = kernel.lines[0]
    kernel.advance(10)
    line.stop(0)
    line.launch(10)
    kernel.advance(110)
    assert started(kernel)[0] == 100
    line.stop(1)
    kernel.advance(139)
    assert (kernel.killed_tasks, kernel.failed_tasks, kernel.unfinished) == (2, 0, 3)
    kernel.advance(1000)
    assert (kernel.failed_tasks, kernel.skipped_tasks, kernel.unfinished) == (1, 2, 0)
    assert started(kernel)[1:] == [None, None, 0]


def test_what_hangs_on_a_failure_twice_is_skipped_once():
    """Two ways lead from the failed task to its grandchild."""
    trace = rows_of((0, 50), (0, 1), (0, 1), (0, 1), parents={1: [0], 2: [0], 3: [1, 2]})
    kernel = kernel_of(trace, replace(SLOW, retries=0))
    kernel.advance(10)
    kernel.lines[0].stop(0)
    kernel.advance(100)
    assert (kernel.failed_tasks, kernel.skipped_tasks, kernel.unfinished) == (1, 3, 0)


def test_a_run_ends_with_its_failure():
    """The next run of the DAG may begin."""
    trace = rows_of((0, 50), (0, 1), (1, 1), dag=["a"] * 3, run=["r1", "r1", "r2"], parents={1: [0]})
    kernel = kernel_of(trace, replace(SLOW, retries=0, max_active_runs=1), workers=2)
    kernel.advance(10)
    kernel.lines[0].stop(kernel.worker[0])
    kernel.advance(1000)
    assert started(kernel)[2] == 40


def test_queued_too_long_is_queued_anew_and_then_fails():
    """Twice it goes back, at the end of the line, then it fails with its descendants."""
    trace = rows_of((0, 250), (0, 10), (90, 10), (0, 10), parents={3: [1]})
    impatient = replace(PLAIN, queued_timeout_seconds=100.0)
    kernel = kernel_of(trace, impatient)
    kernel.advance(100)
    assert kernel.queued_at.tolist()[:3] == [0, 100, 90]
    kernel.advance(1000)
    # Both went back twice, at 100 and 200 and at 190; worker 0 was free at 250.
    assert started(kernel) == [0, 260, 250, 270]
    assert kernel.waited_seconds.tolist() == [0, 260, 160, 0]
    kernel = kernel_of(trace, replace(impatient, requeues=1))
    kernel.advance(1000)
    assert started(kernel) == [0, None, 250, None]
    assert (kernel.failed_tasks, kernel.skipped_tasks, kernel.unfinished) == (1, 1, 0)


def test_a_new_try_has_its_timeouts_for_itself():
    """Queued anew twice, taken, lost, and queued anew twice again."""
    impatient = replace(PLAIN, queued_timeout_seconds=100.0)
    kernel = kernel_of(rows_of((0, 50)), impatient, workers=0)
    line = kernel.lines[0]
    kernel.advance(250)
    line.launch(250)
    kernel.advance(260)
    line.stop(0)
    kernel.advance(510)
    line.launch(510)
    kernel.advance(1000)
    assert (started(kernel), kernel.failed_tasks) == ([510], 0)


def test_a_timeout_gives_back_what_it_held():
    """The pool goes to the next by priority, which need not be the one that was thrown out."""
    trace = rows_of((0, 250), (0, 10), (5, 10), pool=["x", "db", "db"], priority=[1, 1, 9])
    airflow = replace(PLAIN, by_priority=True, queued_timeout_seconds=100.0, pools={"x": 1, "db": 1})
    kernel = kernel_of(trace, airflow)
    kernel.advance(100)
    assert kernel.queued_at.tolist()[2] == 100
    kernel.advance(1000)
    assert started(kernel) == [0, 260, 250]


def test_a_tail_dies_with_its_worker():
    """A lost worker's slots do not come back, and nothing of it is left on the agenda."""
    kernel = kernel_of(rows_of((0, 5), (20, 5)), replace(SLOW, slot_tail=constant(100.0)), workers=1)
    kernel.advance(10)
    line = kernel.lines[0]
    assert line.busy_until(0) == 105
    line.stop(0)
    assert (kernel.killed_tasks, line.busy_until(0)) == (0, 10)
    line.launch(30)
    kernel.advance(1000)
    assert started(kernel) == [0, 30]


def test_a_worker_that_is_stopped_before_it_is_ready_never_is():
    """It takes nothing; stopping it again changes nothing."""
    kernel = kernel_of(rows_of((0, 5)), workers=0)
    line = kernel.lines[0]
    line.stop(line.launch(10))
    line.stop(0)
    kernel.advance(20)
    assert (line.running_workers, line.queued_slots) == (0, 1)
    line.launch(30)
    kernel.advance(30)
    assert (line.running_workers, line.running.tolist()[:2]) == (1, [0, 1])


def test_a_drained_worker_takes_nothing_until_it_is_opened():
    """It finishes what it has; opened again it stands at the end of the line."""
    trace = rows_of((1, 5), (6, 5), (12, 5), (13, 5))
    kernel = kernel_of(trace, replace(PLAIN, worker_choice=WorkerChoice.ROTATION), workers=2)
    line = kernel.lines[0]
    line.take_tasks(0, consuming=False)
    kernel.advance(11.5)
    assert kernel.worker.tolist() == [1, 1, -1, -1]
    assert line.consuming.tolist()[:2] == [0, 1]
    line.take_tasks(0, consuming=True)
    line.take_tasks(0, consuming=True)
    kernel.advance(100)
    assert kernel.worker.tolist() == [1, 1, 1, 0]
    assert started(kernel) == [1, 6, 12, 13]


def test_an_opened_worker_takes_what_waits_at_once():
    """At the instant of its opening, whenever that is looked at."""
    kernel = kernel_of(rows_of((1, 5)))
    line = kernel.lines[0]
    line.take_tasks(0, consuming=False)
    kernel.advance(3)
    line.take_tasks(0, consuming=True)
    kernel.advance(50)
    assert started(kernel) == [3]


def test_many_workers_in_several_lines():
    """Room for more workers is made without a trace in the results."""
    trace = rows_of(*[(0, 10)] * 600, queue=["x", "y"] * 300)
    for first in (0.0, 5.0):
        kernel = AirflowKernel(trace, PLAIN, [LineSpec(("x",), 1), LineSpec(("y",), 2)], 0)
        kernel.lines[0].launch(0.0)
        kernel.advance(first)
        for _ in range(200):
            kernel.lines[0].launch(first)
            kernel.lines[1].launch(first)
        kernel.advance(100)
        line = kernel.line
        assert sorted(set(kernel.started_at[line == 1].tolist())) == [first]
        assert (kernel.started_at[line == 0] == first).sum() == (201 if not first else 200)
        assert kernel.worker[line == 1].tolist() == [number // 2 for number in range(300)]
