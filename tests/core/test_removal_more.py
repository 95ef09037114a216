"""More stories of removals: what others do to them, what never ends by itself, and clocks."""

from dataclasses import replace

from autoscaler.core.guards import Bounds
from autoscaler.core.removal import SafeRemoval
from autoscaler.core.victims import Patience
from policies.model import Reason, Refused
from tests.core.clock import NOON, told
from tests.core.test_removal import ROLLING, lowered, ready, rolling, seen, three


def test_a_refusal_of_another_write_says_nothing_of_the_one_that_lowered():
    """The way out was throttled and the reading lags: the lower size is applied all the same."""
    clock = lowered(three())
    leaving = seen([5, 0, 0], stopped="b", protected="ac")
    clock.sees(45, desired=3, workers=leaving).expects(5, Reason.DEMAND, stopped="b")
    clock.wrote(Refused(5, "throttled")).after(10).sees(25, desired=3, workers=leaving)
    clock.expects(None, stopped="b")


def test_whoever_stays_is_not_left_without_work_while_others_set_the_size():
    """Hands off the size for as long as it takes; not from a worker that turns out to stay."""
    clock, contested = lowered(three()), {"contested_by": "Application Auto Scaling"}
    workers = seen([5, 0, 0], stopped="b", protected="ac")
    clock.sees(5, desired=3, workers=workers, capacity=contested).expects(None, Reason.CONTESTED, stopped="b")
    assert clock.decision.wants_workers
    clock.after(minutes=2).sees(5, workers=workers, capacity=contested)
    clock.expects(None, Reason.CONTESTED, stopped="b", protected="b")
    back = seen([5, 0, 0], stopped="b", protected="abc")
    clock.after(10).sees(5, workers=back, capacity=contested).expects(None, Reason.CONTESTED)


def test_a_fleet_that_stays_unseen_keeps_nobody_from_work_for_ever():
    """Neither whoever was to leave, past its deadline, nor whoever was leaving."""
    for clock in (ready(three()), lowered(three())):
        clock.after(minutes=50).sees(5, fleet_unknown="no answer").expects(None, stopped="b")
        clock.after(minutes=11).sees(5, fleet_unknown="no answer").expects(None, stopped="b")
        clock.after(minutes=4).sees(5, fleet_unknown="no answer").expects(None, stopped="b")
        clock.after(minutes=1).sees(5, fleet_unknown="no answer").expects(None)


def test_demand_that_returns_is_heard_though_the_fleet_is_not_seen():
    """For five minutes it may be seen again, and the worker protected."""
    clock = ready(three())
    clock.sees(25, fleet_unknown="no answer").expects(None, Reason.CAPACITY_UNKNOWN, stopped="b")
    clock.after(minutes=5).sees(5, fleet_unknown="no answer").expects(None, Reason.CAPACITY_UNKNOWN)


def test_whoever_was_told_to_work_again_is_not_stopped_because_nobody_looks():
    """It was seen protected, and what was told may take a while."""
    clock = ready(three())
    clock.sees(25, workers=seen([5, 0, 0], stopped="b", protected="abc")).expects(None, Reason.DEMAND)
    clock.after(10).sees(25, fleet_unknown="no answer").expects(None, Reason.CAPACITY_UNKNOWN)
    clock.after(10).sees(25).expects(None, Reason.DEMAND)


def test_workers_that_stay_unlisted_go_back_to_work_after_their_deadline():
    clock = ready(three())
    clock.after(minutes=50).sees(5).expects(None, Reason.WORKERS_UNLISTED, stopped="b")
    clock.after(minutes=11).sees(5).expects(None, Reason.WORKERS_UNLISTED, stopped="b")
    clock.after(minutes=5).sees(5).expects(None, Reason.WORKERS_UNLISTED)
    clock = ready(three(SafeRemoval(Patience(kills=True))))
    clock.after(minutes=71).sees(5).expects(None, Reason.WORKERS_UNLISTED, stopped="b")


def test_a_freeze_leaves_nobody_else_without_work():
    """Of two victims the other one was still running dry when the wrong worker was stopped."""
    clock = told(desired=8, way_in=SafeRemoval(consolidates=True))
    clock.sees(55).after(10).sees(55, workers=seen([9, 9, 9, 9, 9, 9, 1, 0]))
    clock.expects(None, Reason.DRAINING, stopped="gh")
    for protected in ("", "abcdefg"):
        clock.after(10).sees(55, workers=seen([9] * 6 + [1, 0], stopped="gh", protected=protected))
    clock.expects(7, Reason.DRAINING, stopped="gh")
    wrong = seen([9] * 6 + [1, 0], stopped="gh", protected="abcdeg", without="f")
    clock.after(70).sees(55, workers=wrong).expects(None, Reason.FROZEN, stopped="h", protected="h")
    back = seen([9] * 6 + [1, 0], protected="abcdegh", without="f")
    clock.after(10).sees(55, workers=back).expects(None, Reason.FROZEN)


def test_fewer_workers_than_desired_wait_for_the_missing_one():
    """It was lost, and the one that is launched in its place is not listed yet."""
    clock = ready(three())
    clock.sees(5, desired=3, workers=seen([5, 0, 0], stopped="b", protected="a", without="c"))
    clock.expects(None, Reason.WORKERS_HELD, stopped="b")


def test_more_workers_than_desired_leave_only_as_prepared():
    """A dead daemon's write is waiting for a protection to end: none may, but that of an empty worker."""
    clock = told(desired=2, way_in=SafeRemoval())
    soon = NOON + 400
    clock.sees(15, workers=seen([9, 6, 0], protected="abc", protected_until=soon))
    clock.expects(None, stopped="c", protected="abc")
    assert clock.decision.wants_workers
    for _ in range(2):
        clock.after(10).sees(15, workers=seen([9, 6, 0], stopped="c", protected="abc"))
    clock.expects(None, stopped="c", released="c").wrote(Refused(None, "throttled"))
    clock.after(10).sees(15, workers=seen([9, 6, 0], stopped="c", protected="abc")).expects(None, stopped="c")
    clock.after(10).sees(15, workers=seen([9, 6, 0], stopped="c", protected="abc"))
    clock.expects(None, stopped="c", released="c")
    clock.after(10).sees(35, workers=seen([9, 6, 0], stopped="c", protected="ab"))
    clock.expects(4, Reason.DEMAND, stopped="c")


def test_while_a_worker_is_leaving_the_protection_of_the_others_does_not_end():
    """Somebody protects it, so that it cannot go; if another protection ended first, that one would."""
    clock = lowered(three())
    held_up = seen([5, 0, 0], stopped="b", protected="abc", protected_until=clock.at + 400)
    clock.sees(15, workers=held_up).expects(None, stopped="b", protected="ac")


def test_a_protection_that_is_never_granted_delays_nobodys_work_for_ever():
    """Whoever was found without intake works again after some minutes, protected or not."""
    clock = three()
    for _ in range(5):
        clock.sees(5, workers=seen([5, 0, 0], stopped="b", protected="ac"))
        clock.expects(None, Reason.RESUMING, stopped="b", protected="b").after(minutes=1)
    clock.sees(5, workers=seen([5, 0, 0], stopped="b", protected="ac"))
    clock.expects(None, Reason.RESUMING, protected="b")


def test_a_worker_that_never_takes_tasks_again_is_the_first_to_leave():
    """It is told to, and does not: no reason for the others to stay for ever."""
    clock = three()
    for _ in range(10):
        clock.sees(5, workers=seen([5, 0, 0], stopped="c", protected="ac")).after(minutes=1)
    clock.sees(5, workers=seen([5, 0, 0], stopped="c", protected="ac"))
    clock.expects(None, Reason.DRAINING, stopped="c")
    clock.after(10).sees(5, workers=seen([5, 0, 0], stopped="c", protected="ac"))
    clock.after(10).sees(5, workers=seen([5, 0, 0], stopped="c", protected="abc"))
    clock.expects(None, Reason.DRAINING, stopped="c", released="c")


def test_whoever_was_undone_and_never_takes_tasks_again_holds_nobody_up():
    clock = ready(three())
    deaf = seen([5, 0, 0], stopped="b", protected="ac")
    clock.sees(25, workers=deaf).expects(None, Reason.DEMAND, stopped="b", protected="b")
    deaf = seen([5, 0, 0], stopped="b", protected="abc")
    clock.after(10).sees(5, workers=deaf).expects(None, Reason.RESUMING)
    clock.after(minutes=11).sees(5, workers=deaf).expects(None, Reason.DRAINING, stopped="b")


def test_an_old_deployments_worker_takes_no_new_tasks_however_long_it_runs():
    """Else a steady load would hold the deployment up for ever, our protection being renewed each hour."""
    clock = told(desired=1, way_in=SafeRemoval())
    clock.sees(9, capacity=ROLLING, workers=rolling([9, 0], "a")).expects(None, stopped="a", protected="a")
    late = rolling([9, 0], "a", stopped="a", protected="a", protected_until=clock.at + 3900)
    clock.after(minutes=61).sees(9, capacity=ROLLING, workers=late)
    clock.expects(None, stopped="a", protected="a")
    done = rolling([0, 0], "a", stopped="a", protected="a", protected_until=clock.at + 3900)
    for _ in range(2):
        clock.after(10).sees(9, capacity=ROLLING, workers=done)
    clock.expects(None, stopped="a", released="a")


def test_a_clock_set_back_holds_a_removal_up_no_longer_than_it_takes():
    clock = ready(three())
    clock.after(minutes=-600)
    workers = seen([5, 0, 0], stopped="b", protected="ac")
    for _ in range(2):
        clock.sees(5, workers=workers).after(10)
    clock.expects(2, Reason.DRAINING, stopped="b")
    clock.after(minutes=-600)
    for _ in range(8):
        clock.sees(25, desired=3, workers=workers).after(10)
    clock.expects(None, stopped="b", protected="b")


def test_a_freeze_ends_an_hour_after_a_clock_was_set_back():
    clock = lowered(three())
    wrong = seen([5, 0, 0], stopped="b", protected="a", without="c")
    clock.after(70).sees(5, workers=wrong)
    back = seen([5, 0, 0], protected="ab", without="c")
    clock.after(minutes=-600).sees(5, workers=back).expects(None, Reason.FROZEN)
    clock.after(minutes=61).sees(5, workers=seen([5, 0, 0], without="c"))
    clock.expects(None, Reason.DRAINING, stopped="b")


def test_a_maximum_keeps_the_size_from_going_back_out_and_sends_nobody_away():
    """Two are desired of three that are held, and the maximum was lowered to one: two it stays."""
    clock = three()
    clock.controller = replace(clock.controller, guards=replace(clock.controller.guards, bounds=Bounds(1, 1)))
    clock.sees(5, desired=2)
    clock.state = clock.state._replace(protected=frozenset("abc"))
    soon = seen([5, 0, 0], protected="abc", protected_until=NOON + 100)
    clock.after(10).sees(5, desired=2, workers=soon)
    clock.expects(None, Reason.AT_MAXIMUM, protected="abc")
