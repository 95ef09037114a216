"""The modelled Airflow, rule by rule: scheduler loop, priorities, pools, limits, queues, slots."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulations.airflow import PLAIN, QueueOrder, WorkerChoice
from simulations.airflow_kernel import AirflowKernel, LineSpec
from simulations.airflow_setup import luck_of
from simulations.quantiles import chance, constant
from simulations.trace import TraceError
from tests.simulations.airflow_worlds import kernel_of, rows_of, started, starts

LOOPS = replace(PLAIN, loop_period_seconds=4.0, by_priority=True)
"""A loop every four seconds, at a phase that the seed says."""


def phase(airflow, seed=0):
    return luck_of(airflow, 1, seed).phase / 65536


def test_a_task_waits_for_the_next_loop():
    """Loops come at a phase and whole periods after it; what is ready just then is seen."""
    first = phase(LOOPS)
    assert 0 < first < 4
    trace = rows_of((0, 1), (first, 1), (first + 0.5, 1), (first + 4, 1))
    kernel = kernel_of(trace, LOOPS, workers=9)
    kernel.advance(100)
    expected = [first, first, first + 4, first + 4]
    assert kernel.scheduled_at.tolist() == expected
    assert kernel.queued_at.tolist() == expected
    assert started(kernel) == expected


def test_a_task_that_becomes_ready_with_the_loop_is_seen_by_it_but_not_what_follows_at_that_instant():
    """An empty task ends in the loop that starts it; its child waits for the next loop."""
    trace = rows_of((0, 0), (0, 0), slots=[0, 0], parents={1: [0]})
    first = phase(LOOPS)
    assert starts(trace, LOOPS, workers=0) == [first, first + 4]


def test_the_schedule_delay_is_waited_out_before_the_loop():
    """A delay that ends just before a loop costs nothing more."""
    first = phase(LOOPS)
    delayed = replace(LOOPS, schedule_delay=constant(2.0))
    assert starts(rows_of((first, 1), (first + 2, 1)), delayed, workers=2) == [first + 4, first + 4]


def test_priority_orders_one_batch_and_nothing_else():
    """In one loop the highest priority goes first; a task that comes a loop later queues behind it."""
    first = phase(LOOPS)
    trace = rows_of((0, 10), (0, 10), (0, 10), (first + 1, 10), priority=[1, 5, 1, 100])
    assert starts(trace, LOOPS) == [first + 10, first, first + 20, first + 30]


def test_equal_priorities_go_by_the_runs_start():
    """A run that began earlier goes first, also where its task stands later in the trace."""
    first = phase(LOOPS)
    trace = rows_of((0.25, 10), (0, 1), (0.5, 10), run=["late", "early", "early"], priority=[1, 9, 1])
    assert starts(trace, LOOPS) == [first + 11, first, first + 1]


def test_a_pool_is_held_from_queued_to_end():
    """With one worker busy elsewhere a queued task keeps its pool slot, and others of the pool starve."""
    trace = rows_of((0, 10), (1, 5), (1, 5), (1, 5), pool=["default_pool", "db", "db", "other"])
    pooled = replace(PLAIN, pools={"db": 1, "other": 1})
    kernel = kernel_of(trace, pooled)
    kernel.advance(2)
    assert (kernel.lines[0].queued_slots, kernel.lines[0].scheduled_slots) == (2, 1)
    assert started(kernel) == [0, None, None, None]
    kernel.advance(100)
    assert started(kernel) == [0, 10, 20, 15]
    assert kernel.queued_at.tolist() == [0, 1, 15, 1]
    assert kernel.scheduled_at.tolist() == [0, 1, 1, 1]
    assert kernel.waited_seconds.tolist() == [0, 9, 19, 14]


def test_a_wide_task_starves_in_its_pool():
    """Narrow tasks behind it go first for as long as they come; other pools do not notice."""
    trace = rows_of(
        (0, 10), (1, 10), (2, 10), (5, 10), (12, 10), (3, 1),
        pool=["db"] * 5 + ["x"], pool_slots=[1, 2, 1, 1, 1, 1],
    )  # fmt: skip
    assert starts(trace, replace(PLAIN, pools={"db": 2, "x": 1}), workers=9) == [0, 22, 2, 10, 12, 3]


def test_who_comes_to_a_full_pool_with_priority_goes_first_when_there_is_room():
    """They all wait; the order is the loop's, not that of their coming."""
    trace = rows_of((0, 10), (1, 10), (2, 10), (3, 10), pool=["db"] * 4, priority=[1, 1, 9, 5])
    pooled = replace(PLAIN, pools={"db": 1}, by_priority=True)
    assert starts(trace, pooled, workers=9) == [0, 30, 10, 20]


def test_a_pool_that_may_be_left_out_is_unlimited():
    """The default pool without a size, and -1, which is Airflow's way to say it."""
    trace = rows_of((0, 1), (0, 1), (0, 1), pool=["default_pool", "any", "any"])
    assert starts(trace, replace(PLAIN, pools={"any": -1}), workers=3) == [0, 0, 0]


def test_parallelism_counts_tasks_that_are_queued_or_run():
    """Two at a time, though there are workers for more; tasks that need no worker do not count."""
    trace = rows_of((0, 5), (0, 7), (0, 1), (0, 1), (0, 1), slots=[1, 2, 1, 1, 0])
    assert starts(trace, replace(PLAIN, parallelism=2), workers=4, slots=2) == [0, 0, 5, 6, 0]


def test_active_tasks_are_limited_by_run_or_by_dag():
    """Since Airflow 3 each run has the limit for itself; nothing limits what has no DAG."""
    columns = {"dag": ["a", "a", "a", "", ""], "run": ["a1", "a1", "a2", "", ""]}
    trace = rows_of((0, 5), (0, 5), (0, 5), (0, 5), (0, 5), **columns)
    by_run = replace(PLAIN, max_active_tasks=1)
    assert starts(trace, by_run, workers=9) == [0, 5, 0, 0, 0]
    assert starts(trace, replace(by_run, max_active_tasks_per_run=False), workers=9) == [0, 5, 10, 0, 0]
    named = replace(by_run, max_active_tasks={"b": 1})
    assert starts(trace, named, workers=9) == [0, 0, 0, 0, 0]


def test_runs_of_a_dag_follow_each_other():
    """The second run begins when the last task of the first has ended; the third waits for both."""
    trace = rows_of(
        (0, 5), (0, 5), (1, 5), (2, 5), (1, 5),
        dag=["a", "a", "a", "a", "b"], run=["a1", "a1", "a2", "a3", "b1"], parents={1: [0]},
    )  # fmt: skip
    one = replace(PLAIN, max_active_runs=1)
    assert starts(trace, one, workers=9) == [0, 5, 10, 15, 1]
    assert starts(trace, replace(PLAIN, max_active_runs={"a": 2}), workers=9) == [0, 5, 1, 6, 1]


def test_a_loop_queues_at_most_so_many():
    """The others wait for the next loop, and so on."""
    first = phase(LOOPS)
    trace = rows_of((0, 1), (0, 1), (0, 1))
    assert starts(trace, replace(LOOPS, queued_per_loop=1), workers=9) == [first, first + 4, first + 8]
    assert starts(trace, replace(LOOPS, queued_per_loop=2), workers=9) == [first, first, first + 4]


def test_the_queue_is_first_in_first_out_once_queued():
    """A wide task at the head holds up narrow ones behind it."""
    trace = rows_of((0, 10), (1, 10), (2, 1), slots=[1, 2, 1])
    assert starts(trace, workers=1, slots=2) == [0, 10, 20]


def test_two_queues_of_a_line_do_not_hold_each_other_up():
    """Round robin takes turns; by arrival the first queued goes first; a wide head blocks its queue alone."""
    columns = {"queue": ["x", "x", "x", "y"]}
    trace = rows_of((0, 10), (1, 10), (1, 10), (2, 10), **columns)
    assert starts(trace, PLAIN) == [0, 10, 20, 30]
    assert starts(trace, replace(PLAIN, queue_order=QueueOrder.ROUND_ROBIN)) == [0, 20, 30, 10]
    wide = rows_of((0, 10), (1, 10), (1, 10), (2, 10), slots=[1, 2, 1, 1], **columns)
    for order in QueueOrder:
        assert starts(wide, replace(PLAIN, queue_order=order), slots=2) == [0, 12, 22, 2]


def test_load_is_counted_in_slots():
    """A wide task is as much load as it holds slots."""
    kernel = kernel_of(rows_of((0, 10), (0, 20), (0, 5), slots=[2, 1, 3]), slots=3)
    line, seen = kernel.lines[0], []
    for at in (5, 10, 20, 25):
        kernel.advance(at)
        seen.append((line.queued_slots, line.running_slots, line.busy_slots.tolist()[0]))
    assert seen == [(3, 3, 3), (3, 1, 1), (0, 3, 3), (0, 0, 0)]


def test_lines_have_workers_of_their_own():
    """A line without workers waits; the other does not; each sees its own load."""
    trace = rows_of((0, 10), (0, 10), (1, 10), (2, 10), queue=["x", "y", "x", "z"])
    kernel = AirflowKernel(trace, PLAIN, [LineSpec(("y",), 2), LineSpec((), 1)], 0)
    one, other = kernel.lines
    assert other.launch(0.0) == 0
    kernel.advance(4.0)
    assert (one.queued_slots, one.running_slots, one.oldest_wait_seconds) == (1, 0, 4.0)
    assert (other.queued_slots, other.running_slots, other.oldest_wait_seconds) == (2, 1, 3.0)
    assert (one.running_workers, other.running_workers) == (0, 1)
    assert one.launch(6.0) == 0
    kernel.advance(100.0)
    assert started(kernel) == [0, 6, 10, 20]
    assert kernel.line.tolist() == [1, 0, 1, 1]
    assert kernel.worker.tolist() == [0, 0, 0, 0]


def test_rotation_gives_work_to_the_worker_that_has_waited_longest():
    """After each task a worker goes to the end of the line, while it has room."""
    trace = rows_of(*[(at, 100) for at in range(6)])
    rotating = kernel_of(trace, replace(PLAIN, worker_choice=WorkerChoice.ROTATION), workers=3, slots=2)
    rotating.advance(50)
    assert rotating.worker.tolist() == [0, 1, 2, 0, 1, 2]
    packing = kernel_of(trace, PLAIN, workers=3, slots=2)
    packing.advance(50)
    assert packing.worker.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_full_worker_stands_behind_the_others_when_it_has_room_again():
    """Worker 0 is free again before the next task comes, but worker 1 has waited longer."""
    trace = rows_of((0, 1), (2, 1), (4, 1), (5.5, 1))
    kernel = kernel_of(trace, replace(PLAIN, worker_choice=WorkerChoice.ROTATION), workers=2)
    kernel.advance(50)
    assert kernel.worker.tolist() == [0, 1, 0, 1]


def test_workers_that_get_room_at_one_instant_stand_in_the_order_of_their_numbers():
    """Whichever of their tasks ends first in the trace."""
    trace = rows_of((1, 9), (0, 10), (11, 1), (11, 1))
    kernel = kernel_of(trace, replace(PLAIN, worker_choice=WorkerChoice.ROTATION), workers=2)
    kernel.advance(50)
    assert kernel.worker.tolist() == [1, 0, 0, 1]


def test_by_lot_every_worker_has_its_share_and_the_seed_decides():
    """A task's lot is its own: the same seed draws the same."""
    trace = rows_of(*[(at, 0.5) for at in range(400)])
    lots = replace(PLAIN, worker_choice=WorkerChoice.RANDOM)

    def workers(seed):
        kernel = kernel_of(trace, lots, workers=4, seed=seed)
        kernel.advance(1000)
        return kernel.worker.tolist()

    assert workers(1) == workers(1) != workers(2)
    assert np.bincount(workers(1)).min() > 60


def test_a_wide_task_goes_to_the_first_worker_that_has_room_for_it():
    """Whichever choice: a worker with too little room is passed over."""
    trace = rows_of((0, 10), (1, 10), (2, 10), slots=[1, 2, 1])
    for choice, taken in (("rotation", [0, 1, 0]), ("first-fit", [0, 1, 0]), ("random", None)):
        kernel = kernel_of(trace, replace(PLAIN, worker_choice=WorkerChoice(choice)), workers=2, slots=2)
        kernel.advance(5)
        assert started(kernel) == [0, 1, 2]
        if taken is not None:
            assert kernel.worker.tolist() == taken


def test_a_slot_stays_taken_after_its_task():
    """Children and pool are free at the end, the slot a tail later; nobody sees it as load."""
    trace = rows_of((0, 10), (1, 10), (2, 1), pool=["db", "db", "x"], parents={2: [0]})
    tail = replace(PLAIN, slot_tail=constant(5.0), pools={"db": 1, "x": 1})
    kernel = kernel_of(trace, tail, workers=1, slots=2)
    kernel.advance(12.0)
    line = kernel.lines[0]
    assert started(kernel) == [0, 10, None]
    assert (line.running_slots, line.queued_slots, line.busy_slots.tolist()[:1]) == (1, 1, [1])
    kernel.advance(15.0)
    assert started(kernel) == [0, 10, 15]
    assert line.busy_until(0) == 25.0
    kernel.advance(21.0)
    assert (kernel.unfinished, line.running_slots, line.busy_until(0)) == (0, 0, 25.0)
    kernel.advance(26.0)
    assert line.busy_until(0) == 26.0


def test_a_worker_is_slow_to_start_its_first_task():
    """Until it runs, a task counts as queued, though it holds its slot."""
    trace = rows_of((0, 10), (20, 10))
    slow = replace(PLAIN, start_delay=constant(0.5), first_task_penalty=constant(3.0))
    kernel = kernel_of(trace, slow)
    kernel.advance(1.0)
    line = kernel.lines[0]
    assert (line.queued_slots, line.running_slots, line.busy_slots.tolist()[:1]) == (1, 0, [0])
    assert line.busy_until(0) == 13.5
    kernel.advance(3.5)
    assert (line.queued_slots, line.running_slots, line.busy_slots.tolist()[:1]) == (0, 1, [1])
    kernel.advance(100)
    assert started(kernel) == [3.5, 20.5]
    assert kernel.waited_seconds.tolist() == [3.5, 0.5]


def test_what_needs_no_worker_runs_without_one():
    """A deferred stretch: no slot, its own length, and its child after a delay of the child's own."""
    trace = rows_of((0, 5), (0, 1), (0, 1), slots=[0, 1, 0], delay_seconds=[9, 2.5, 0], parents={1: [0]})
    kernel = kernel_of(trace, workers=1)
    kernel.advance(3.0)
    assert (kernel.lines[0].running_slots, kernel.unfinished) == (0, 2)
    kernel.advance(100)
    assert started(kernel) == [0, 7.5, 0]
    assert kernel.worker.tolist() == [-1, 0, -1]


def test_luck_is_the_tasks_own():
    """Half of the slots have a tail; which ones does not depend on workers or order."""
    often = replace(PLAIN, slot_tail=chance(0.5, 5.0), worker_choice=WorkerChoice.RANDOM)
    luck = luck_of(often, 1000, 3)
    again = luck_of(replace(often, start_delay=chance(0.5, 1.0)), 1000, 3)
    assert luck.delays[3].tolist() == again.delays[3].tolist()
    assert luck.lots.tolist() == again.lots.tolist()
    assert (luck.delays[3] > 0).mean() == pytest.approx(0.5, abs=0.05)
    assert luck_of(often, 1000, 4).delays[3].tolist() != luck.delays[3].tolist()


def test_tasks_that_can_never_run_are_refused():
    """One line each: the row, the column, why, and what to do."""
    trace = rows_of((0, 1), (0, 1), slots=[1, 3], pool=["a", "b"], pool_slots=[1, 4], queue=["x", "y"])
    for airflow, lines, message in (
        (PLAIN, [LineSpec((), 2)], r"trace: row 2, column slots: task '2' wants 3, a worker has 2: it can"),
        (PLAIN, [LineSpec(("x",), 9)], "row 2, column queue: task '2' waits in 'y', which no worker serves"),
        (
            replace(PLAIN, pools={"a": 1}),
            [LineSpec((), 9)],
            "row 2, column pool: task '2' is in 'b', which does not exist: it can never run; pools are 'a'",
        ),
        (
            replace(PLAIN, pools={"a": 1, "b": 3}),
            [LineSpec((), 9)],
            "row 2, column pool_slots: task '2' wants 4 of the pool 'b', which has 3: it can never run",
        ),
    ):
        with pytest.raises(TraceError, match=message) as caught:
            AirflowKernel(trace, airflow, lines, 0)
        assert "\n" not in str(caught.value)
    for lines, message in (
        ([LineSpec(("x",), 3), LineSpec(("x", "y"), 3)], "the queue 'x' is served by two targets"),
        ([LineSpec((), 3), LineSpec((), 3)], "the queues that no target names are served by two targets"),
        ([LineSpec((), 0)], "slots per worker: expected at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            AirflowKernel(trace, PLAIN, lines, 0)
    unused = rows_of((0, 1), (0, 1), slots=[1, 0], pool=["a", "b"], queue=["x", "y"])
    AirflowKernel(unused, replace(PLAIN, pools={"a": 1}), [LineSpec(("x",), 1)], 0)
