"""Stories of the simulated service: launches, protections, victims, intake, ties."""

from __future__ import annotations

import numpy as np
import pytest

from policies.model import Applied, Demand, Refused, WorkerState
from simulations.service import LaunchDelay, ServiceModel
from simulations.trace import trace_of
from simulations.world import World
from tests.simulations.worlds import decide, service, tasks


def listed(world):
    """The workers as the next look sees them."""
    world.apply(decide(wants_workers=True))
    return world.observe(world.now).capacity.workers


def alive(world):
    return set(listed(world).ids)


def test_a_launched_worker_is_pending_until_its_delay_is_over():
    """Desired jumps at once, pending follows, running after the launch delay."""
    world = World(tasks((0, 1)), service(launch_seconds=60.0), 1, workers=1)
    assert world.apply(decide(3)) == Applied(3)
    capacity = world.observe(59.5).capacity
    assert (capacity.desired, capacity.pending, capacity.running) == (3, 2, 1)
    capacity = world.observe(60.0).capacity
    assert (capacity.desired, capacity.pending, capacity.running) == (3, 0, 3)


def test_workers_are_listed_only_when_the_last_decision_asked():
    """Listing costs a call a page, so nobody gets it unasked; busy slots come placed."""
    world = World(tasks((0, 100), (0, 100)), service(2, launch_seconds=9.0), 1, workers=1)
    assert world.observe(1.0).capacity.workers is None
    world.apply(decide(2, protected=["worker-0"], wants_workers=True))
    observation = world.observe(2.0)
    workers = observation.capacity.workers
    assert workers.ids == ("worker-0", "worker-1")
    assert list(workers.state) == [WorkerState.RUNNING, WorkerState.PENDING]
    assert list(workers.busy_slots) == [2, 0]
    assert list(workers.created_at) == [0.0, 1.0]
    assert workers.started_at[0] == 0.0
    assert np.isnan(workers.started_at[1])
    assert list(workers.protected_until) == [7201.0, 0.0]
    assert observation.evidence.busy_at == 2.0
    assert observation.evidence.unplaced_hosts == ()
    world.apply(decide())
    assert world.observe(3.0).capacity.workers is None


def test_the_ports_say_what_the_observation_says():
    """Demand, capacity and busy are the same values, asked for one by one."""
    world = World(tasks((0, 9), (1, 9), (2, 9)), service(2), 1, workers=1)
    world.apply(decide(wants_workers=True))
    observation = world.observe(3.0)
    assert world.demand() == observation.demand
    assert observation.demand == Demand(1.0, 2.0, 3.0, oldest_wait_seconds=1.0, source="simulation")
    assert world.capacity(list_workers=False).workers is None
    assert world.capacity(list_workers=True).workers.ids == observation.capacity.workers.ids
    assert world.busy().slots_by_host == {"worker-0": 2}


def test_load_is_counted_in_slots_and_without_the_tail():
    """A task of three slots wants three; after its end its slots are taken but nobody's load."""
    trace = tasks((0, 5), (0, 5), slots=[3, 2])
    world = World(trace, service(4, slot_tail_seconds=2.0), 1, workers=1)
    assert world.observe(0.0).demand.load == 5
    demand = world.observe(5.0).demand
    assert (demand.queued, demand.running) == (2, 0)
    assert world.busy().slots_by_host == {}
    assert world.observe(7.0).demand.running == 2


def test_an_unprotected_busy_worker_may_go_and_its_task_is_lost_and_run_again():
    """The kill is counted, the lost work too; the task runs again in full after the retry delay."""
    world = World(tasks((0, 100)), service(retry_delay_seconds=30.0), 1, workers=1)
    world.advance(40.0)
    world.apply(decide(0))
    kernel = world.kernel
    assert (kernel.killed_tasks, kernel.lost_slot_seconds) == (1, 40.0)
    assert world.observe(41.0).demand.load == 0
    world.apply(decide(1))
    world.advance(70.0)
    assert world.demand().queued == 1
    world.advance(300.0)
    assert (kernel.started_at[0], kernel.ends_at[0], kernel.waited_seconds[0]) == (101.0, 201.0, 31.0)


def test_a_protected_worker_never_goes_and_the_lot_falls_on_the_others():
    """Whatever the seed: with one worker protected, a scale-in to one leaves exactly that one."""
    for seed in range(8):
        world = World(tasks((0, 100)), service(), seed, workers=4)
        world.apply(decide(protected=["worker-2"]))
        world.apply(decide(1))
        assert alive(world) == {"worker-2"}


def test_the_lot_depends_on_the_seed():
    """Among the unprotected every worker is sometimes the victim."""
    survivors = set()
    for seed in range(40):
        world = World(tasks((0, 100)), service(), seed, workers=3)
        world.apply(decide(1))
        survivors |= alive(world)
    assert survivors == {"worker-0", "worker-1", "worker-2"}


def test_pending_workers_leave_first_or_not_as_the_service_is():
    """ECS does not say, so both can be simulated."""
    victims = {True: set(), False: set()}
    for first in victims:
        for seed in range(20):
            world = World(tasks((0, 100)), service(pending_leave_first=first), seed, workers=2)
            world.apply(decide(4))
            world.advance(1.0)
            world.apply(decide(2))
            victims[first] |= {"worker-0", "worker-1", "worker-2", "worker-3"} - alive(world)
    assert victims[True] == {"worker-2", "worker-3"}
    assert victims[False] == {"worker-0", "worker-1", "worker-2", "worker-3"}


def test_a_surplus_of_protected_workers_goes_when_the_protection_ends():
    """Desired below the protected count: they stay until the protection expires or is released."""
    world = World(tasks((500, 1)), service(protection_seconds=100.0), 1, workers=3)
    world.apply(decide(protected=["worker-0", "worker-1", "worker-2"]))
    world.advance(10.0)
    world.apply(decide(1))
    assert world.size == 3
    world.apply(decide(released=["worker-1"]))
    assert alive(world) == {"worker-0", "worker-2"}
    world.advance(99.0)
    assert world.size == 2
    world.advance(200.0)
    assert world.size == 1
    assert sorted(at for at in world.stopped_at if not np.isnan(at)) == [10.0, 100.0]


def test_protecting_is_refused_below_the_protected_count():
    """ECS answers DEPLOYMENT_BLOCKED then; nothing of the decision is done."""
    world = World(tasks((0, 1)), service(), 1, workers=3)
    world.apply(decide(protected=["worker-0", "worker-1"]))
    world.apply(decide(1))
    outcome = world.apply(decide(5, protected=["worker-0"]))
    assert isinstance(outcome, Refused)
    assert "DEPLOYMENT_BLOCKED" in outcome.why
    assert world.desired == 1
    assert world.observe(1.0).last_write == outcome


def test_what_makes_no_sense_is_refused_in_words():
    """A negative size and a worker that is gone change nothing."""
    world = World(tasks((0, 1)), service(), 1, workers=1)
    assert world.apply(decide(-1)) == Refused(-1, "desired must be at least 0, got -1")
    assert world.apply(decide(2, protected=["worker-9"])) == Refused(2, "there is no worker worker-9")
    assert world.size == 1


def test_a_decision_applied_twice_changes_nothing_more():
    """Absolute: the second time finds everything as it shall be."""
    world = World(tasks((0, 100)), service(), 1, workers=4)
    decision = decide(2, protected=["worker-3"], wants_workers=True)
    world.apply(decision)
    once = world.observe(0.0)
    world.apply(decision)
    assert world.observe(0.0) == once


def test_nothing_to_write_is_no_write():
    """None, and None is what the next look says."""
    world = World(tasks((0, 1)), service(), 1, workers=1)
    assert world.apply(decide()) is None
    assert world.observe(1.0).last_write is None


def test_a_worker_with_stopped_intake_takes_nothing_new_until_it_is_opened():
    """It finishes what it runs, counts as draining, and takes the waiting task when opened again."""
    world = World(tasks((0, 10), (1, 10)), service(2), 1, workers=1)
    world.advance(0.5)
    world.apply(decide(intake_stopped=["worker-0"], wants_workers=True))
    observation = world.observe(20.0)
    assert (observation.demand.queued, observation.demand.running) == (1, 0)
    assert observation.capacity.draining == 1
    assert list(observation.capacity.workers.consuming) == [0.0]
    world.apply(decide())
    assert world.observe(20.0).demand.running == 1
    assert world.kernel.started_at[1] == 20.0


def test_at_one_instant_ends_come_before_starts_and_rows_break_ties():
    """A slot freed at 10 takes a task queued at 10; of two queued together the earlier row goes first."""
    trace = tasks((10, 5), (10, 5), (0, 10), slots=[1, 1, 1])
    world = World(trace, service(1), 1, workers=1)
    world.advance(100.0)
    assert list(world.kernel.started_at) == [10.0, 15.0, 0.0]
    assert list(world.kernel.waited_seconds) == [0.0, 5.0, 0.0]


def test_a_look_comes_after_everything_of_its_instant():
    """At second 60 the launched worker has already taken the task that was queued at 60."""
    world = World(tasks((60, 5)), service(launch_seconds=60.0), 1, workers=0)
    world.apply(decide(1))
    demand = world.observe(60.0).demand
    assert (demand.queued, demand.running) == (0, 1)


def test_a_strict_queue_a_wide_head_holds_up_narrow_tasks():
    """First in, first out: nobody passes the head, even where he would fit."""
    trace = tasks((0, 10), (1, 10), (2, 1), slots=[1, 2, 1])
    world = World(trace, service(2), 1, workers=1)
    world.advance(100.0)
    assert list(world.kernel.started_at) == [0.0, 10.0, 20.0]


def test_children_start_after_their_last_parent_and_not_before_their_own_time():
    """A diamond, and a child whose own time is later than its parents' end."""
    trace = tasks((0, 4), (0, 7), (0, 1), (50, 1), edges=([0, 1, 2], [2, 2, 3]))
    world = World(trace, service(5), 1, workers=1)
    world.advance(100.0)
    assert list(world.kernel.started_at) == [0.0, 0.0, 7.0, 50.0]


def test_time_does_not_run_backwards():
    """Looking into the past is a mistake of the caller."""
    world = World(tasks((0, 1)), service(), 1, workers=1)
    world.advance(5.0)
    with pytest.raises(ValueError, match="backwards"):
        world.observe(4.0)


def test_launches_draw_the_same_luck_whatever_else_is_drawn():
    """The n-th worker's delay is the seed's, though one world drew lots in between and the other did not."""
    model = ServiceModel(1, LaunchDelay(59.0, 0.2))
    calm, busy = (World(tasks((0, 9999)), model, 5, workers=3) for _ in range(2))
    busy.apply(decide(2))
    busy.apply(decide(5))
    calm.apply(decide(6))
    assert busy.ready_at[3:] == calm.ready_at[3:]
    other = World(tasks((0, 9999)), model, 6, workers=3)
    other.apply(decide(6))
    assert other.ready_at[3:] != calm.ready_at[3:]


def test_the_launch_delay_has_its_median_and_can_be_constant():
    """59 s in the middle; without spread always 59 s."""
    generator = np.random.default_rng(1)
    drawn = [LaunchDelay().seconds(generator) for _ in range(2000)]
    assert np.median(drawn) == pytest.approx(59.0, rel=0.02)
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx([40, 87], rel=0.06)
    assert LaunchDelay(59.0, 0.0).seconds(generator) == 59.0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ServiceModel(0), "slots per worker must be at least 1, got 0"),
        (lambda: ServiceModel(1, slot_tail_seconds=-1), "slot tail seconds must be 0 or more, got -1"),
        (lambda: ServiceModel(1, retry_delay_seconds=float("nan")), "retry delay seconds must be 0 or more"),
        (lambda: LaunchDelay(-1), "median_seconds must be 0 or more, got -1"),
        (lambda: LaunchDelay(1, float("inf")), "spread must be 0 or more, got inf"),
    ],
)
def test_a_service_that_cannot_be_is_refused(build, message):
    """One clear line each."""
    with pytest.raises(ValueError, match=message):
        build()


def test_times_are_multiples_of_a_quantum_so_that_sums_are_exact():
    """0.1 s thirty times over is what thirty times 0.1 s is."""
    trace = trace_of([0.1] * 30, [0.1] * 30, starts_at=0.0)
    world = World(trace, service(1), 1, workers=1)
    world.advance(10.0)
    one = trace.duration_seconds[0]
    assert [end - trace.queued_at[0] for end in world.kernel.ends_at] == [one * n for n in range(1, 31)]
