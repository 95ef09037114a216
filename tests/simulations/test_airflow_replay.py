"""The replay of Airflow's rules: its stories worked out by hand, and its agreement with the plain world."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.world import World
from tests.simulations.airflow_replay import AirflowReplay, Host, Job, Rules
from tests.simulations.test_replay import Fleet, as_trace, job_lists, timetable
from tests.simulations.worlds import decide, service


def played(jobs, workers=1, **rules):
    hosts = workers if isinstance(workers, list) else [Host(-1.0) for _ in range(workers)]
    return AirflowReplay(jobs, hosts, Rules(**{"slots_per_worker": (1,), **rules})).played()


def starts(replay):
    return [replay.start.get(number) for number in range(len(replay.jobs))]


def test_what_is_ready_waits_for_the_scheduler_s_next_loop():
    """Ready at 0.25 and due 0.5 later, scheduled and queued by the loop at 1; its child by the one after."""
    jobs = [Job(0.25, 2.0, scheduler_delay=0.5), Job(0.0, 1.0, parents=(0,), scheduler_delay=0.5)]
    replay = played(jobs, loop_period=1.0)
    assert (replay.scheduled_at, replay.queued_at) == ({0: 1.0, 1: 4.0}, {0: 1.0, 1: 4.0})
    assert starts(replay) == [1.0, 4.0]


def test_priority_orders_a_batch_and_nothing_else():
    """The urgent one of the same loop goes first; the most urgent of a later loop stands at the end."""
    jobs = [Job(0.0, 10.0), Job(0.1, 1.0), Job(0.2, 1.0, priority=5), Job(1.5, 1.0, priority=100)]
    assert starts(played(jobs, loop_period=1.0, by_priority=True)) == [0.0, 11.0, 10.0, 12.0]


def test_a_pool_is_held_from_queued_to_end_and_stops_nobody_else():
    """Two slots: the double one takes both while it queues; another pool's task goes by."""
    jobs = [
        Job(0.0, 5.0),
        Job(0.0, 2.0, pool="db", pool_slots=2),
        Job(0.0, 1.0, pool="db"),
        Job(0.0, 1.0),
    ]
    replay = played(jobs, pools={"db": 2})
    assert replay.queued_at == {0: 0.0, 1: 0.0, 2: 7.0, 3: 0.0}
    assert starts(replay) == [0.0, 5.0, 8.0, 7.0]


def test_a_wide_task_lets_narrow_ones_of_its_pool_by():
    """With one of two slots held a double task does not fit, the single one behind it does."""
    jobs = [
        Job(0.0, 4.0, pool="db"),
        Job(1.0, 1.0, pool="db", pool_slots=2),
        Job(1.0, 1.0, pool="db"),
    ]
    assert starts(played(jobs, workers=3, pools={"db": 2})) == [0.0, 4.0, 1.0]


def test_parallelism_counts_the_queued_too():
    """With room for two, the third is queued when the first has ended, though a worker is idle."""
    jobs = [Job(0.0, 3.0), Job(0.0, 3.0), Job(0.0, 1.0)]
    assert starts(played(jobs, workers=3, parallelism=2)) == [0.0, 0.0, 3.0]


def test_a_run_waits_for_a_run_of_its_dag():
    """One run at a time: the second begins when the last task of the first has ended."""
    jobs = [
        Job(0.0, 2.0, dag="d", run="a"),
        Job(0.0, 2.0, dag="d", run="a", parents=(0,)),
        Job(1.0, 1.0, dag="d", run="b"),
        Job(1.0, 1.0, dag="e", run="c"),
    ]
    assert starts(played(jobs, workers=4, active_runs=1)) == [0.0, 2.0, 4.0, 1.0]


def test_a_run_has_so_many_tasks_at_a_time():
    """Active tasks are counted by run."""
    jobs = [Job(0.0, 2.0, dag="d", run=run) for run in "aaab"]
    assert starts(played(jobs, workers=4, active_tasks=2)) == [0.0, 0.0, 2.0, 0.0]


def test_a_slot_stays_taken_after_the_task_and_a_start_takes_its_time():
    """The child is ready at 2, but the slot is free at 7 and the start takes a quarter second."""
    jobs = [Job(0.0, 1.75, tail=5.0, start_delay=0.25), Job(0.0, 1.0, parents=(0,), start_delay=0.25)]
    replay = played(jobs)
    assert starts(replay) == [0.25, 7.25]
    assert replay.queued_at[1] == 2.0


def test_the_first_task_of_a_worker_starts_late():
    """Each worker's first task only."""
    jobs = [Job(0.0, 1.0, first_task_penalty=3.0), Job(0.0, 1.0, first_task_penalty=3.0)]
    assert starts(played(jobs)) == [3.0, 4.0]
    assert starts(played(jobs, workers=2)) == [3.0, 3.0]


def test_the_worker_that_waited_longest_takes_the_next_task():
    """With two slots each: the first, the second, the first again, which then stands behind the second."""
    jobs = [Job(float(at), 1.5) for at in range(4)]
    replay = played(jobs, workers=2, slots_per_worker=(2,))
    assert [replay.host[number] for number in range(4)] == [0, 1, 0, 1]
    assert set(played(jobs, workers=2, slots_per_worker=(2,), choice="first-fit").host.values()) == {0}


def test_an_empty_task_holds_no_worker():
    """Without any worker it starts in the scheduler's loop, and its child in a later one."""
    jobs = [Job(0.5, 0.0, slots=0), Job(0.0, 3.0, slots=0, parents=(0,))]
    assert starts(played(jobs, workers=[], loop_period=1.0)) == [1.0, 2.0]


def test_queued_too_long_is_queued_anew_twice_and_then_failed():
    """Behind a long task: out at 4, 8 and 12, and its child never runs."""
    jobs = [Job(0.0, 100.0), Job(0.0, 1.0), Job(0.0, 1.0, parents=(1,))]
    replay = played(jobs, queued_timeout=4.0)
    assert (replay.failed, replay.skipped) == ({1}, {2})
    assert replay.queued_at[1] == 8.0


def test_a_lost_task_holds_its_pool_until_it_is_missed():
    """Killed at 2, missed at 7, tried again at 10; the other of its pool is queued at 7."""
    jobs = [Job(0.0, 5.0, pool="db"), Job(0.0, 1.0, pool="db")]
    hosts = [Host(-1.0, stopped_at=2.0), Host(3.0)]
    rules = {"pools": {"db": 1}, "heartbeat_timeout": 5.0, "retry_delay": 3.0}
    replay = played(jobs, hosts, **rules)
    assert starts(replay) == [10.0, 7.0]
    assert (replay.killed, replay.failed) == (1, set())
    assert played(jobs, hosts, **rules, retries=0).failed == {0}


def test_queues_go_to_the_line_that_serves_them():
    """A worker takes nothing of another line's queue, and the head of one queue blocks no other."""
    jobs = [Job(0.0, 4.0, queue=0), Job(0.0, 2.0, queue=0), Job(0.0, 1.0, queue=1)]
    hosts = [Host(-1.0, line=0), Host(-1.0, line=1)]
    replay = played(jobs, hosts, lines=((0,), (1,)), slots_per_worker=(1, 1))
    assert starts(replay) == [0.0, 4.0, 0.0]
    assert replay.host[2] == 1


@settings(max_examples=100, deadline=None)
@given(data=st.data(), tail=st.sampled_from([0.0, 0.75]), retry=st.sampled_from([0.0, 2.5]))
def test_without_airflow_s_limits_it_is_the_plain_world(data, tail, retry):
    """A scheduler that is always there and workers by number: to the last start the world of one queue."""
    slots = data.draw(st.integers(1, 3))
    plain = data.draw(job_lists(widest=slots))
    model = service(slots, launch_seconds=2.0, slot_tail_seconds=tail, retry_delay_seconds=retry)
    world = World(as_trace(plain), model, data.draw(st.integers(0, 99)), workers=1)
    fleet, at = Fleet(world), 0.0
    for _ in range(data.draw(st.integers(0, 20))):
        fleet.apply(data.draw, at, model)
        at += 1.0
        world.advance(at)
    world.apply(decide(2, intake_stopped=()))
    for name in fleet.closed:
        fleet.intake[int(name.removeprefix("worker-"))].append((at, True))
    world.advance(at + 10_000)
    kernel = world.kernel
    seen = timetable(world.created_at, world.ready_at, world.stopped_at, fleet.intake)
    hosts = [Host(host.ready_at, host.stopped_at, host.intake, created_at=host.created_at) for host in seen]
    hosts[0] = Host(-1.0, seen[0].stopped_at, seen[0].intake)
    jobs = [Job(job.queued_at, job.duration, job.slots, job.parents, queue=0, tail=tail) for job in plain]
    rules = Rules(slots_per_worker=(slots,), choice="first-fit", retry_delay=retry)
    replay = AirflowReplay(jobs, hosts, rules).played()
    rows = range(len(jobs))
    assert list(kernel.started_at) == [replay.start[row] for row in rows]
    assert list(kernel.ends_at) == [replay.end[row] for row in rows]
    assert list(kernel.waited_seconds) == [replay.waited[row] for row in rows]
    assert kernel.killed_tasks == replay.killed


def test_a_world_where_nothing_can_happen_any_more_is_said_so():
    """No worker, no end: the replay says so instead of looping."""
    with pytest.raises(AssertionError, match="nothing will ever happen"):
        played([Job(0.0, 1.0)], [Host(0.0, inf, line=0)][:0])
