"""The clairvoyant bound: under the truth, over nothing, and in the right order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from simulations.bound import HOUR, best_schedule, feasible, lower_bound
from simulations.price import Price
from simulations.program import BoundError, Terms, least_cost, load_of
from simulations.run import simulate
from simulations.schedule import schedule_of
from simulations.score import score
from simulations.trace import trace_of
from simulations.windows import windows_of
from tests.simulations.bound_truth import broken_rule, least_worker_seconds
from tests.simulations.worlds import controller, service, tasks

ROUNDING = 1e-6
FREE = Price("free", 0.0)


def seconds(bound):
    return bound.worker_hours * HOUR


@some.composite
def tiny(draw):
    """(queued at, duration, slots, edges) of up to four tasks, in whole seconds."""
    count = draw(some.integers(1, 4))
    whole = some.lists(some.integers(0, 6), min_size=count, max_size=count)
    width = some.lists(some.integers(1, 2), min_size=count, max_size=count)
    pairs = [(parent, child) for child in range(count) for parent in range(child)]
    edges = draw(some.lists(some.sampled_from(pairs), max_size=2, unique=True)) if pairs else []
    return draw(whole), draw(whole), draw(some.one_of(some.just([1] * count), width)), edges


@given(
    tiny(),
    some.integers(2, 3),
    some.integers(0, 2),
    some.integers(0, 8),
    some.integers(0, 3),
    some.sampled_from([0, 9]),
    some.sampled_from([1.0, 2.5, 60.0]),
)
@settings(max_examples=120, deadline=None)
def test_nothing_undercuts_the_bound_and_the_schedule_is_no_better_than_the_truth(
    world, width, max_wait, launch, tail, minimum, bin_seconds
):
    """All starts and all divisions among workers tried: the truth lies between bound and schedule."""
    queued_at, duration, slots, edges = world
    trace = trace_of(queued_at, duration, slots=slots, edges=tuple(zip(*edges, strict=True)) or ((), ()))
    fleet = service(width, launch_seconds=launch, slot_tail_seconds=tail)
    truth = least_worker_seconds(
        queued_at,
        duration,
        width,
        max_wait,
        launch=launch,
        slots=slots,
        edges=edges,
        tail=tail,
        minimum=minimum,
    )
    bound = lower_bound(trace, fleet, max_wait, minimum_seconds=minimum, bin_seconds=bin_seconds)
    enough = feasible(trace, fleet, max_wait, minimum_seconds=minimum)
    assert seconds(bound) <= truth + ROUNDING
    assert truth <= seconds(enough) + ROUNDING


@given(
    tiny(), some.integers(0, 1), some.integers(0, 8), some.integers(1, 2), some.sampled_from([1.0, 2.5, 60.0])
)
@settings(max_examples=60, deadline=None)
def test_nothing_undercuts_the_bound_with_excuses(world, max_wait, launch, excused, bin_seconds):
    """The same where some may wait up to six seconds, runs of connected tasks included."""
    queued_at, duration, _, edges = (column[:3] for column in world)
    edges = [edge for edge in edges if max(edge) < 3]
    trace = trace_of(queued_at, duration, edges=tuple(zip(*edges, strict=True)) or ((), ()))
    truth = least_worker_seconds(
        queued_at, duration, 2, max_wait, launch=launch, edges=edges, excused=excused, excused_wait=6
    )
    share = min(1.0, excused / len(queued_at))
    bound = lower_bound(trace, service(2, launch_seconds=launch), max_wait, share, bin_seconds=bin_seconds)
    assert seconds(bound) <= truth + ROUNDING


def fleet_by_counting(begin, end, width, launch):
    """The cheapest whole number of workers in each second, by dynamic programming."""
    last = max(end)
    needed = [-(-sum(b <= at < e for b, e in zip(begin, end, strict=True)) // width) for at in range(last)]
    cost = {0: 0.0}
    for least in needed:
        cost = {
            now: now + min(paid + launch * max(0, now - before) for before, paid in cost.items())
            for now in range(least, max(needed) + 1)
        }
    return min(cost.values())


@given(
    some.lists(some.tuples(some.integers(0, 40), some.integers(1, 15)), min_size=1, max_size=12),
    some.integers(1, 3),
    some.integers(0, 12),
)
@settings(max_examples=150, deadline=None)
def test_without_waiting_the_bound_is_the_optimum(rows, width, launch):
    """Levels by themselves give what trying every number of workers in every second gives."""
    begin, end = [at for at, _ in rows], [at + length for at, length in rows]
    bound = lower_bound(tasks(*rows), service(width, launch_seconds=launch), 0.0)
    assert seconds(bound) == pytest.approx(fleet_by_counting(begin, end, width, launch), abs=ROUNDING)


def test_without_waiting_by_hand():
    """Three tasks at once on two slots a worker; a gap of 30 s is kept, one of 90 s is not."""
    trace = tasks((0, 10), (0, 10), (0, 10), (40, 10), (140, 10))
    bound = lower_bound(trace, service(2, launch_seconds=60.0), 0.0)
    # Two launches and 20 s; the first worker through the gap and its task, 40 s; a third launch, 10 s.
    assert seconds(bound) == 120 + 20 + 40 + 60 + 10
    assert (bound.launches, bound.method) == (3, "levels")


def test_waiting_lets_one_worker_do_the_work_of_four():
    """Four tasks of a minute at once: 4 workers at once, or one after the other within three minutes."""
    trace, fleet = tasks(*[(0, 60)] * 4), service(1, launch_seconds=60.0)
    found = [lower_bound(trace, fleet, wait) for wait in (0.0, 60.0, 180.0)]
    assert [round(seconds(bound), 2) for bound in found] == [480.0, 360.0, 300.0]
    assert [seconds(feasible(trace, fleet, wait)) for wait in (0.0, 60.0, 180.0)] == [480.0, 360.0, 300.0]


def test_an_excuse_saves_the_worker_that_only_one_task_needs():
    """Ten minutes of one task after the other, and two at once in the middle: one excuse, one worker."""
    trace, fleet = tasks(*((60 * at, 60) for at in range(10)), (300, 60)), service(1, launch_seconds=60.0)
    assert seconds(lower_bound(trace, fleet, 0.0)) == 600 + 60 + 60 + 60
    one = lower_bound(trace, fleet, 0.0, 1 / 11)
    assert seconds(one) == pytest.approx(600 + 60 + 60, rel=1e-5)
    assert one.method == "linear program"


def test_an_excuse_for_a_parent_frees_its_child():
    """A pair of tasks in the middle: the parent waits until the end, and the child never waits at all."""
    rows = [*((60 * at, 60) for at in range(10)), (300, 60), (360, 60)]
    trace, fleet = tasks(*rows, edges=([10], [11])), service(1, launch_seconds=60.0)
    assert seconds(lower_bound(trace, fleet, 0.0, 1 / 12)) <= 720 + 60
    assert seconds(lower_bound(tasks(*rows), fleet, 0.0, 1 / 12)) > 720 + 60


def test_a_long_trace_gets_longer_bins_and_is_told_so():
    """Ten days, or two with excuses, cost no more than seconds; the bound stays one, a little lower."""
    day, fleet = 86_400, service(1)
    for days, share in ((10, 0.0), (2, 0.2)):
        trace = tasks((0, 60), (0, 60), (days * day, 60), (days * day + 60, 60))
        short = lower_bound(trace, fleet, 60.0, share, bin_seconds=60.0)
        long = lower_bound(trace, fleet, 60.0, share)
        assert (short.bin_seconds, long.bin_seconds) == (60.0, 120.0)
        assert 0.5 * short.worker_hours < long.worker_hours <= short.worker_hours
        assert long.remarks == ("a long trace: the lower bound looks at means over 120 s",)
        assert short.remarks == ()


def test_workers_at_the_start_need_no_launch():
    """With and without waiting."""
    trace, fleet = tasks((0, 60), (0, 60)), service(1, launch_seconds=60.0)
    assert seconds(lower_bound(trace, fleet, 0.0, ready_at_start=1)) == 60 + 120
    assert seconds(lower_bound(trace, fleet, 60.0, ready_at_start=1)) == pytest.approx(120, rel=1e-5)


def test_a_deadline_moves_down_a_chain():
    """A child's wait adds to its parent's: two waits of 60 s let the child of one run meet another's."""
    rows = [(0, 60), (60, 60), (180, 60)]
    fleet = service(1, launch_seconds=600.0)
    chain = tasks(*rows, edges=([0], [1]))
    alone = tasks(*rows)
    assert feasible(chain, fleet, 60.0).launches == 1
    # With parents the second task may start as late as 180: what is due by then is less.
    assert seconds(lower_bound(chain, fleet, 60.0)) <= seconds(lower_bound(alone, fleet, 60.0))


def test_a_minimum_of_billing_keeps_launched_workers_paid():
    """Two far tasks of a minute with ten minutes billed at least: two minima."""
    trace, fleet = tasks((60, 60), (7200, 60)), service(1, launch_seconds=60.0)
    bound = lower_bound(trace, fleet, 0.0, minimum_seconds=600.0)
    assert seconds(bound) == pytest.approx(1200.0, rel=1e-5)
    assert seconds(feasible(trace, fleet, 0.0, minimum_seconds=600.0)) == 1200.0


def test_a_tail_takes_slots():
    """Two tasks in a row on one slot: with a tail the second must wait, or have a worker of its own."""
    trace = tasks((0, 60), (60, 60))
    without, with_tail = (service(1, slot_tail_seconds=tail) for tail in (0.0, 10.0))
    assert seconds(lower_bound(trace, without, 0.0)) == 60 + 120
    assert seconds(lower_bound(trace, with_tail, 0.0)) == 2 * 50 + 140
    assert seconds(feasible(trace, with_tail, 0.0)) == 2 * 60 + 120


def test_a_task_without_a_worker_costs_nothing_and_a_delay_is_waited_for():
    """A sensor that is looked at a minute later, on a worker only then; what lies between needs none."""
    trace = tasks(
        (0, 60), (0, 600), (0, 60), slots=[1, 0, 1], edges=([0, 1], [1, 2]), delay_seconds=[0, 0, 90]
    )
    fleet = service(1, launch_seconds=60.0)
    schedule = schedule_of(trace, fleet, 0.0, 0.0)
    assert schedule.started_at.tolist() == [0.0, 60.0, 750.0]
    assert schedule.worker.tolist() == [0, -1, 1]
    windows = windows_of(trace, 10.0, 0.0)
    assert windows.earliest.tolist() == [0.0, 60.0, 750.0]
    assert windows.latest.tolist() == [10.0, 80.0, 780.0]
    assert seconds(lower_bound(trace, fleet, 0.0)) == seconds(feasible(trace, fleet, 0.0)) == 240.0


def burst(seed, count=60, span=900.0):
    generator = np.random.default_rng(seed)
    edges = ([0, 1, 2, 3], [10, 10, 11, 12])
    return trace_of(
        generator.uniform(0, span, count), generator.exponential(90, count), edges=edges, starts_at=0.0
    )


def test_more_patience_and_more_excuses_never_cost_more():
    """The bound falls with the promised wait and with the share excused."""
    trace, fleet = burst(1), service(4)
    by_wait = [seconds(lower_bound(trace, fleet, wait)) for wait in (0, 5, 20, 60, 61, 200, 1000)]
    assert by_wait == sorted(by_wait, reverse=True)
    assert by_wait[0] > 1.3 * by_wait[-1]
    by_share = [seconds(lower_bound(trace, fleet, 10.0, share)) for share in (0.0, 0.01, 0.05, 0.3, 1.0)]
    assert by_share == sorted(by_share, reverse=True)
    assert by_share[0] > 1.1 * by_share[-1]


@given(some.integers(0, 2**32 - 1), some.sampled_from([0.0, 30.0, 120.0]), some.sampled_from([0.0, 3.5]))
@settings(max_examples=40, deadline=None)
def test_a_schedule_keeps_every_rule_and_never_undercuts_the_bound(seed, max_wait, tail):
    """Queue, parents, delays, promise, life of the workers, slots: from the rules, not by the planner."""
    trace, fleet = burst(seed), service(3, slot_tail_seconds=tail)
    generator = np.random.default_rng(seed)
    delay = generator.choice([0.0, 45.0], len(trace))
    trace = replace(trace, slots=generator.integers(0, 3, len(trace)), delay_seconds=delay)
    for idle_seconds, ahead in ((0.0, False), (1.0, True), (60.0, True), (600.0, False)):
        schedule = schedule_of(trace, fleet, max_wait, idle_seconds, ahead=ahead)
        assert broken_rule(trace, fleet, max_wait, schedule) is None
    best = best_schedule(trace, fleet, max_wait)
    assert broken_rule(trace, fleet, max_wait, best) is None
    assert seconds(lower_bound(trace, fleet, max_wait)) <= best.billed_seconds().sum() + ROUNDING


def test_the_check_of_schedules_can_see():
    """A schedule with a task too late, too early, on a worker that is gone, or on a full one is told."""
    trace, fleet = tasks((0, 60), (0, 60), (60, 60), edges=([0], [2])), service(1)
    good = schedule_of(trace, fleet, 0.0, 0.0)
    assert broken_rule(trace, fleet, 0.0, good) is None
    late, early = good.started_at + np.array([0, 1, 0]), good.started_at - np.array([0, 0, 1])
    assert "task 1 is queued at 0" in broken_rule(trace, fleet, 0.0, replace(good, started_at=late))
    assert "task 2 is queued at 60" in broken_rule(trace, fleet, 0.0, replace(good, started_at=early))
    gone = replace(good, stopped_at=good.stopped_at - 1)
    assert "while that is not there" in broken_rule(trace, fleet, 0.0, gone)
    assert "holds 2 slots" in broken_rule(trace, fleet, 0.0, replace(good, worker=good.worker * 0))


@given(some.integers(0, 2**32 - 1), some.integers(0, 2), some.sampled_from([0.0, 2.0]))
@settings(max_examples=30, deadline=None)
def test_no_simulated_policy_undercuts_the_bound_for_what_it_kept(seed, minimum, tail):
    """Whatever a run's longest wait was, and whatever share of its tasks waited longer than a minute."""
    trace, fleet = burst(seed), service(4, slot_tail_seconds=tail)
    result = simulate(trace, controller(4, minimum, 40), fleet, seed, tick_seconds=10.0)
    used = score(result, FREE)
    kept = lower_bound(trace, fleet, used.wait_max_seconds, ready_at_start=minimum)
    assert kept.worker_hours <= used.worker_hours
    share = float((result.waited_seconds > 20.0).mean())
    mostly = lower_bound(trace, fleet, 20.0, share, ready_at_start=minimum)
    assert mostly.worker_hours <= used.worker_hours


@pytest.mark.parametrize("seed", range(12))
def test_foresight_beats_the_formula(seed):
    """On these bursts the schedule that keeps a run's longest wait is cheaper than the run."""
    trace, fleet = burst(seed, 200, 3600.0), service(4)
    used = score(simulate(trace, controller(4, 0, 40), fleet, seed, tick_seconds=10.0), FREE)
    enough = feasible(trace, fleet, used.wait_max_seconds)
    assert enough.worker_hours <= used.worker_hours


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0,), "longest wait: expected seconds, 0 or more, got -1"),
        ((float("nan"),), "longest wait: expected seconds"),
        ((60.0, 5.0), r"excused: expected a share from 0 to 1 \(0.05 is 5 %\), got 5"),
    ],
)
def test_promises_that_cannot_be_are_refused(arguments, message):
    """With what was expected."""
    with pytest.raises(ValueError, match=message):
        lower_bound(tasks((0, 60)), service(), *arguments)


def test_bins_take_time():
    """None or less is refused."""
    with pytest.raises(ValueError, match="bin: expected more than 0 seconds, got 0"):
        lower_bound(tasks((0, 60)), service(), 60.0, bin_seconds=0.0)


def test_a_task_wider_than_a_worker_has_no_schedule():
    """Named by its row."""
    with pytest.raises(ValueError, match="row 2, column slots: task '2' wants 3, a worker has 2"):
        feasible(tasks((0, 1), (0, 1), slots=[1, 3]), service(2), 0.0)


def test_a_program_without_a_solution_says_so():
    """Work that is due before it may begin."""
    trace, terms = tasks((0, 60)), Terms(1, 60.0, 0.0, 0)
    load = load_of(windows_of(trace, 60.0, 0.0), terms, 60.0)
    with pytest.raises(BoundError, match=r"the linear program was not solved: .* try longer bins"):
        least_cost(replace(load, earliest=load.latest - 1.0), terms)


def test_a_bound_says_what_it_does_not_see():
    """Wide tasks, several queues, and excuses in a DAG."""
    trace = tasks((0, 60), (0, 60), slots=[1, 2], queue=[0, 1], queues=("a", "b"), edges=([0], [1]))
    words = " ".join(lower_bound(trace, service(2), 60.0, 0.5).remarks)
    assert "several slots" in words
    assert "2 queues share workers" in words
    assert "may hold up all tasks connected" in words
    assert lower_bound(tasks((0, 60)), service(2), 60.0).remarks == ()
    steady = tasks(*((60 * at, 60) for at in range(200)))
    assert "hardly more than the work" in " ".join(lower_bound(steady, service(1), 60.0, 0.1).remarks)
