"""Stories of a removal: who is chosen, what is awaited, what is undone, and what a death leaves behind."""

from dataclasses import replace

import numpy as np
import pytest

from autoscaler.core.removal import SafeRemoval
from autoscaler.core.victims import Patience
from policies.model import Evidence, Reason, Refused, Rollout, Unknown, WorkerState
from tests.core.clock import NOON, listing, told

IDLE_ONLY = SafeRemoval()
CONSOLIDATING = SafeRemoval(consolidates=True)
NAMES = "abcdefghijklmnopqrstuvwxyz"


def seen(busy, *, stopped="", protected="", protected_until=NOON + 3500, without="", **columns):
    """Workers a, b, c ... with their busy slots; of `without` nothing is left."""
    names = NAMES[: len(busy)]
    workers = listing(
        busy,
        [protected_until if name in protected else 0.0 for name in names],
        consuming=np.array([float(name not in stopped) for name in names]),
        **columns,
    )
    kept = [row for row, name in enumerate(names) if name not in without]
    return replace(
        workers,
        ids=tuple(names[row] for row in kept),
        hosts=tuple((names[row],) for row in kept),
        **{
            name: getattr(workers, name)[kept]
            for name in ("state", "created_at", "started_at", "busy_slots", "consuming", "protected_until")
        },
    )


def three(way_in=IDLE_ONLY, **configuration):
    """Three workers with ten slots each, of which the load fills half of one; b and c hold nothing."""
    return told(desired=3, way_in=way_in, **configuration)


def ready(clock, load=5.0):
    """Up to where b has its intake stopped, was seen empty twice, and everybody else is protected."""
    clock.sees(load).after(10).sees(load, workers=seen([load, 0, 0])).expects(
        None, Reason.DRAINING, stopped="b"
    )
    clock.after(10).sees(load, workers=seen([load, 0, 0], stopped="b")).expects(
        None, Reason.DRAINING, stopped="b", protected="ac"
    )
    return clock.after(10)


def lowered(clock):
    """And up to where the size was lowered by it."""
    ready(clock).sees(5, workers=seen([5, 0, 0], stopped="b", protected="ac"))
    return clock.expects(2, Reason.DRAINING, stopped="b").after(10)


def test_an_idle_worker_leaves_in_three_looks_and_the_next_one_follows():
    """Stopped, seen empty twice, the others protected: then the size goes down by exactly one."""
    clock = three()
    clock.sees(5).expects(None, Reason.WORKERS_UNLISTED)
    assert clock.decision.wants_workers
    lowered(clock)
    clock.sees(5, workers=seen([5, 0, 0], stopped="b", protected="ac")).expects(
        None, Reason.LEAVING, stopped="b"
    )
    clock.after(10).sees(5, workers=seen([5, 0, 0], protected="ac", without="b"))
    clock.expects(None, Reason.DRAINING, stopped="c")
    clock.after(10).sees(5, workers=seen([5, 0, 0], stopped="c", protected="ac", without="b"))
    clock.after(10).sees(5, workers=seen([5, 0, 0], stopped="c", protected="ac", without="b"))
    clock.expects(None, Reason.DRAINING, stopped="c", released="c")
    clock.after(10).sees(5, workers=seen([5, 0, 0], stopped="c", protected="a", without="b"))
    clock.expects(1, Reason.DEMAND, stopped="c")
    clock.after(10).sees(5, workers=seen([5, 0, 0], protected="a", without="bc")).expects(None, Reason.DEMAND)
    assert not clock.decision.wants_workers


def test_demand_that_returns_undoes_all_of_it():
    """Protected and seen so, the worker takes tasks again: another daemon may be lowering the size."""
    clock = ready(three())
    clock.sees(25, workers=seen([5, 0, 0], stopped="b", protected="ac"))
    clock.expects(None, Reason.DEMAND, stopped="b", protected="b")
    clock.after(10).sees(5, workers=seen([5, 0, 0], stopped="b", protected="ac"))
    clock.expects(None, Reason.RESUMING, stopped="b", protected="b")
    clock.after(10).sees(5, workers=seen([5, 0, 0], stopped="b", protected="abc"))
    clock.expects(None, Reason.RESUMING)
    clock.after(10).sees(5, workers=seen([5, 0, 0], protected="abc"))
    clock.expects(None, Reason.DRAINING, stopped="b")


def test_demand_that_returns_finds_a_protected_worker_ready_to_work():
    clock = ready(three())
    clock.sees(25, workers=seen([5, 0, 0], stopped="b", protected="abc")).expects(None, Reason.DEMAND)


def test_demand_that_returns_unlisted_undoes_it_too():
    """The workers are listed next, and nobody is the next victim meanwhile."""
    clock = ready(three())
    clock.sees(25).expects(None, Reason.DEMAND, stopped="b")
    assert clock.decision.wants_workers
    clock.after(10).sees(25, workers=seen([5, 0, 0], stopped="b", protected="ac"))
    clock.expects(None, Reason.DEMAND, stopped="b", protected="b")


def test_demand_that_returns_a_little_undoes_the_least_advanced():
    """Of two victims the one that still holds work goes back; the other one leaves."""
    clock = told(desired=8, way_in=CONSOLIDATING)
    clock.sees(55).after(10).sees(55, workers=seen([9, 9, 9, 9, 9, 9, 1, 0]))
    clock.expects(None, Reason.DRAINING, stopped="gh")
    clock.after(10).sees(65, workers=seen([9] * 6 + [1, 0], stopped="gh"))
    clock.expects(None, Reason.RESUMING, stopped="gh", protected="g")
    clock.after(10).sees(65, workers=seen([9] * 6 + [1, 0], stopped="gh", protected="g"))
    clock.expects(None, Reason.RESUMING, stopped="h")
    clock.after(10).sees(65, workers=seen([9] * 6 + [1, 0], stopped="h", protected="g"))
    clock.expects(None, Reason.PROTECTING, stopped="h", protected="abcdef")


def test_a_worker_that_gets_a_task_after_all_must_be_seen_empty_twice_again():
    clock = ready(three())
    clock.sees(5, workers=seen([5, 1, 2], stopped="b", protected="ac"))
    clock.expects(None, Reason.DRAINING, stopped="b")
    clock.after(10).sees(5, workers=seen([5, 0, 2], stopped="b", protected="ac"))
    clock.expects(None, Reason.DRAINING, stopped="b", protected="")
    clock.after(10).sees(5, workers=seen([5, 0, 2], stopped="b", protected="ac"))
    clock.expects(2, Reason.DRAINING, stopped="b")


def test_two_looks_within_a_delivery_are_one():
    """A message on its way may take some seconds."""
    clock = three()
    clock.sees(5).after(10).sees(5, workers=seen([5, 0, 0]))
    clock.after(10).sees(5, workers=seen([5, 0, 0], stopped="b"))
    clock.after(4).sees(5, workers=seen([5, 0, 0], stopped="b", protected="ac"))
    clock.expects(None, Reason.DRAINING, stopped="b")
    clock.after(4).sees(5, workers=seen([5, 0, 0], stopped="b", protected="ac"))
    clock.expects(2, Reason.DRAINING, stopped="b")


def test_an_intake_that_somebody_opened_again_starts_from_the_beginning():
    clock = ready(three())
    clock.sees(5, workers=seen([5, 0, 0], protected="ac")).expects(None, Reason.DRAINING, stopped="b")
    clock.after(10).sees(5, workers=seen([5, 0, 0], protected="ac"))
    clock.expects(None, Reason.DRAINING, stopped="b")


def test_nobody_leaves_before_the_others_are_protected():
    """A protection that was refused, or that ends soon, is asked for again."""
    clock = ready(three())
    clock.sees(5, workers=seen([5, 0, 0], stopped="b", protected="a"))
    clock.expects(None, Reason.PROTECTING, stopped="b", protected="c")
    soon = seen([5, 0, 0], stopped="b", protected="ac", protected_until=clock.at + 300)
    clock.after(10).sees(5, workers=soon)
    clock.expects(None, Reason.PROTECTING, stopped="b", protected="ac")


def test_nobody_leaves_while_a_replacement_is_on_its_way():
    """It could take the place of the one that we prepared."""
    clock = ready(three())
    state = np.array([WorkerState.RUNNING, WorkerState.RUNNING, WorkerState.PENDING])
    workers = seen([5, 0, 0], stopped="b", protected="a", state=state, created_at=np.full(3, clock.at - 5))
    clock.sees(5, workers=workers).expects(None, Reason.WORKERS_PENDING, stopped="b")


def test_a_worker_that_never_started_leaves_first():
    """Past its deadline nobody waits for it any more; the others are protected all the same."""
    state = np.array([WorkerState.RUNNING, WorkerState.RUNNING, WorkerState.PENDING])
    old = {"state": state, "created_at": np.full(3, NOON - 900)}
    clock = three().sees(15).after(10)
    clock.sees(15, workers=seen([9, 6, 0], **old)).expects(None, Reason.PROTECTING, protected="ab")
    clock.after(10).sees(15, workers=seen([9, 6, 0], protected="ab", **old)).expects(2, Reason.DEMAND)


def test_what_is_listed_must_be_what_is_desired():
    """One more or one less than we think, and ECS would take another number than the prepared."""
    clock = ready(three())
    clock.sees(5, workers=seen([5, 0, 0, 0], stopped="b", protected="acd"))
    clock.expects(None, Reason.WORKERS_HELD, stopped="b")


@pytest.mark.parametrize(
    ("evidence", "because"),
    [
        (Evidence(NOON - 900, (), NOON + 30), Reason.BUSY_UNKNOWN),
        (Evidence(NOON + 30, (), NOON - 900), Reason.INTAKE_UNKNOWN),
        (Evidence(NOON + 30, ("ip-10-0-0-9",), NOON + 30), Reason.BUSY_UNPLACED),
    ],
)
def test_old_or_doubtful_evidence_stops_the_way_in(evidence, because):
    """The victim goes on waiting; its two looks begin anew."""
    clock = ready(three())
    clock.sees(5, workers=seen([5, 0, 0], stopped="b", protected="ac"), evidence=evidence)
    clock.expects(None, because, stopped="b")
    clock.after(10).sees(5, workers=seen([5, 0, 0], stopped="b", protected="ac"))
    assert clock.decision.desired is None


def test_a_refused_write_is_tried_again_from_the_start():
    clock = lowered(three()).wrote(Refused(2, "throttled"))
    clock.sees(5, desired=3, workers=seen([5, 0, 0], stopped="b", protected="ac"))
    clock.expects(None, Reason.DRAINING, stopped="b")
    clock.after(10).sees(5, workers=seen([5, 0, 0], stopped="b", protected="ac"))
    clock.after(10).sees(5, workers=seen([5, 0, 0], stopped="b", protected="ac"))
    clock.expects(2, Reason.DRAINING, stopped="b")


def test_after_a_write_without_answer_the_worker_works_again_only_once_it_is_protected():
    """Until then the write might still arrive and find it bare."""
    clock = lowered(three()).wrote(Unknown(2, "no answer"))
    clock.sees(25, desired=3).expects(None, stopped="b")
    workers = seen([5, 0, 0], stopped="b", protected="ac")
    clock.after(10).sees(25, workers=workers).expects(None, stopped="b")
    clock.after(60).sees(25, workers=workers).expects(None, stopped="b", protected="b")
    clock.after(10).sees(25, workers=seen([5, 0, 0], stopped="b", protected="abc")).expects(None)
    assert clock.decision.wants_workers
    clock.after(10).sees(25, workers=seen([5, 0, 0], protected="abc")).expects(None)
    assert not clock.decision.wants_workers


def test_a_size_that_was_raised_again_brings_the_worker_back():
    """Somebody else wrote 3 before ECS had stopped it."""
    clock = lowered(three())
    workers = seen([5, 0, 0], stopped="b", protected="ac")
    clock.sees(5, workers=workers).expects(None, Reason.LEAVING, stopped="b")
    clock.after(70).sees(25, desired=3, workers=workers).expects(
        None, Reason.FOREIGN_WRITE, stopped="b", protected="b"
    )
    clock.after(10).sees(25, workers=workers).expects(None, stopped="b", protected="b")


def test_another_worker_than_ours_was_stopped():
    """Then what we believe of the service is wrong: nothing leaves for an hour, and somebody should look."""
    clock = lowered(three())
    wrong = seen([5, 0, 0], stopped="b", protected="a", without="c")
    clock.sees(5, workers=wrong).expects(None, Reason.LEAVING, stopped="b")
    clock.after(70).sees(5, workers=wrong).expects(None, Reason.FROZEN, stopped="b", protected="b")
    back = seen([5, 0, 0], protected="ab", without="c")
    clock.after(10).sees(5, workers=back).expects(None, Reason.FROZEN)
    assert "wrong_worker_stopped" in clock.alarms()
    clock.after(minutes=61).sees(5, workers=seen([5, 0, 0], without="c"))
    clock.expects(None, Reason.DRAINING, stopped="b")


def test_workers_without_intake_that_a_dead_daemon_left_go_back_to_work_first():
    """Protected before they take tasks, since a write of that daemon may be on its way."""
    clock = three()
    clock.sees(5, workers=seen([5, 0, 0], stopped="bc", protected="a"))
    clock.expects(None, Reason.RESUMING, stopped="bc", protected="bc")
    clock.after(10).sees(5, workers=seen([5, 0, 0], stopped="bc", protected="ab"))
    clock.expects(None, Reason.RESUMING, stopped="c", protected="c")
    clock.after(10).sees(5, workers=seen([5, 0, 0], stopped="c", protected="abc"))
    clock.expects(None, Reason.RESUMING)
    clock.after(10).sees(5, workers=seen([5, 0, 0], protected="abc"))
    clock.expects(None, Reason.DRAINING, stopped="b")


def test_protections_of_a_dead_daemon_are_taken_over_those_of_others_are_not():
    """Ours last an hour: what lasts longer was set by somebody else, and that worker stays."""
    clock = three()
    clock.sees(5, workers=seen([5, 0, 0], protected="bc", protected_until=NOON + 9000))
    clock.expects(None, Reason.DRAINING)
    clock = three()
    clock.sees(5, workers=seen([5, 0, 0], protected="bc")).expects(None, Reason.DRAINING, stopped="b")


def test_busy_workers_are_left_alone_unless_told_otherwise():
    """The least loaded runs dry where load shall be gathered on few."""
    spread = seen([3, 1, 2])
    three().sees(6, workers=spread).expects(None, Reason.DRAINING)
    three(CONSOLIDATING).sees(6, workers=spread).expects(None, Reason.DRAINING, stopped="b")


def test_the_longest_idle_leaves_first():
    clock = three()
    clock.sees(25, workers=seen([5, 0, 1])).after(60).sees(25, workers=seen([5, 0, 0]))
    clock.after(10).sees(5, workers=seen([5, 0, 0])).expects(None, Reason.DRAINING, stopped="b")
    clock = three()
    clock.sees(25, workers=seen([5, 1, 0])).after(60).sees(25, workers=seen([5, 0, 0]))
    clock.after(10).sees(5, workers=seen([5, 0, 0])).expects(None, Reason.DRAINING, stopped="c")


def test_a_quarter_of_the_workers_at_a_time():
    clock = told(desired=16, way_in=CONSOLIDATING)
    clock.sees(10, workers=seen([1] * 10 + [0] * 6)).expects(None, Reason.DRAINING, stopped="klmn")


def test_a_worker_that_does_not_run_dry_in_time_takes_tasks_again():
    """It is left alone as long, and somebody is told."""
    clock = three(SafeRemoval(Patience(deadline_seconds=900.0), consolidates=True))
    clock.sees(6, workers=seen([3, 1, 2])).expects(None, Reason.DRAINING, stopped="b")
    clock.after(minutes=14).sees(6, workers=seen([3, 1, 2], stopped="b"))
    clock.expects(None, Reason.DRAINING, stopped="b")
    clock.after(minutes=2).sees(6, workers=seen([3, 1, 2], stopped="b"))
    clock.expects(None, Reason.RESUMING, stopped="b", protected="b")
    clock.after(10).sees(6, workers=seen([3, 1, 2], stopped="b", protected="b", protected_until=NOON + 9000))
    clock.expects(None, Reason.RESUMING)
    clock.after(10).sees(6, workers=seen([3, 1, 2])).expects(None, Reason.DRAINING, stopped="c")
    assert clock.alarms()["drain_overdue"].startswith("1 worker")
    clock.after(minutes=16).sees(6, workers=seen([3, 1, 2], stopped="c"))
    clock.expects(None, Reason.RESUMING, stopped="c", protected="c")
    clock.after(10).sees(6, workers=seen([3, 1, 2])).expects(None, Reason.DRAINING, stopped="b")


def test_a_target_may_choose_to_kill_at_the_deadline():
    """Then the worker leaves with what it holds, and only then."""
    clock = three(SafeRemoval(Patience(deadline_seconds=900.0, kills=True), consolidates=True))
    clock.sees(6, workers=seen([3, 1, 2]))
    clock.after(minutes=16).sees(6, workers=seen([3, 1, 2], stopped="b", protected="ac"))
    clock.expects(2, Reason.DRAINING, stopped="b")


def test_a_fleet_that_cannot_be_seen_changes_nothing_of_a_removal():
    clock = ready(three())
    clock.sees(5, fleet_unknown="no answer").expects(None, Reason.CAPACITY_UNKNOWN, stopped="b")


def test_a_size_that_is_not_ours_to_set_ends_a_removal():
    """Only those that are leaving already stay without intake."""
    clock = ready(three())
    contested = {"contested_by": "Application Auto Scaling"}
    clock.sees(5, workers=seen([5, 0, 0], stopped="b"), capacity=contested)
    clock.expects(None, Reason.CONTESTED, stopped="b", protected="b")
    clock.after(10).sees(5, capacity=contested).expects(None, Reason.CONTESTED, stopped="b")
    assert clock.decision.wants_workers
    clock.after(10).sees(5, workers=seen([5, 0, 0], stopped="b", protected="b"), capacity=contested)
    clock.expects(None, Reason.CONTESTED)
    clock = lowered(three())
    clock.sees(5, workers=seen([5, 0, 0], stopped="b", protected="ac"), capacity=contested)
    clock.expects(None, Reason.CONTESTED, stopped="b")


def test_observing_shows_what_would_be_left():
    clock = three(observing=True)
    clock.sees(5, workers=seen([5, 0, 0])).expects(1, Reason.DEMAND)


ROLLING = {"rollout": Rollout.IN_PROGRESS}


def rolling(busy, outdated, **columns):
    return replace(seen(busy, **columns), outdated=frozenset(outdated))


def test_the_workers_of_an_old_deployment_run_dry_and_are_let_go():
    """Protected while they work, released when they are done; the desired count does not change."""
    clock = told(desired=4, way_in=SafeRemoval())
    clock.sees(35, capacity=ROLLING).expects(None)
    assert clock.decision.wants_workers
    clock.after(10).sees(35, capacity=ROLLING, workers=rolling([9, 9, 9, 8, 0, 0], "abcd"))
    clock.expects(None, stopped="abd", protected="abcd")
    for _ in range(2):
        one_done = rolling([0, 9, 9, 8, 0, 0], "abcd", stopped="abd", protected="abcd")
        clock.after(10).sees(35, capacity=ROLLING, workers=one_done)
    clock.expects(None, stopped="abd", released="a")
    gone = rolling([0, 9, 9, 8, 0, 0, 0], "bcd", stopped="bd", protected="bcd", without="a")
    clock.after(10).sees(35, capacity=ROLLING, workers=gone).expects(None, stopped="bcd")
    clock.after(10).sees(35, workers=seen([0, 0, 0, 0], protected="")).expects(None)


def test_a_place_that_was_given_back_is_taken_once_its_worker_is_back_at_work():
    """Also where nobody waits for anybody: a rollout goes on, a place at a time."""
    clock = told(desired=2, way_in=SafeRemoval())
    old = rolling([9, 9], "ab")
    clock.sees(18, capacity=ROLLING, workers=old).expects(None, stopped="a", protected="ab")
    for _ in range(3):
        silent = np.array([np.nan, 1.0])
        one_done = replace(rolling([9, 0], "ab"), consuming=silent)
        clock.after(10).sees(9, capacity=ROLLING, workers=one_done).expects(None, stopped="a", protected="a")


def test_a_rollout_is_not_held_up_for_ever():
    """A worker that has had its time is protected no longer."""
    clock = told(desired=1, way_in=SafeRemoval(Patience(kills=True)))
    clock.sees(9, capacity=ROLLING, workers=rolling([9, 0], "a")).expects(None, stopped="a", protected="a")
    late = rolling([9, 0], "a", stopped="a", protected="a", protected_until=clock.at + 3700)
    clock.after(minutes=61).sees(9, capacity=ROLLING, workers=late).expects(None, stopped="a", released="a")


def test_a_removal_under_way_is_undone_for_the_workers_of_the_new_deployment():
    clock = ready(three())
    clock.sees(5, capacity=ROLLING, workers=rolling([5, 0, 0], "a", stopped="b", protected="ac"))
    clock.expects(None, Reason.DEPLOYING, stopped="b", protected="b")
    clock.after(10).sees(5, capacity=ROLLING, workers=rolling([5, 0, 0], "a", stopped="b", protected="abc"))
    clock.expects(None, Reason.DEPLOYING)
