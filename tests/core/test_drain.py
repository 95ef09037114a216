"""Stories of the way in: who is busy, who is protected, who may leave."""

import numpy as np

from policies.model import (
    Evidence,
    Reason,
    Rollout,
    WorkerState,
)
from tests.core.clock import NOON, UNKNOWN, listing, told

IDLE3 = listing([0.0, 0.0, 0.0])


def test_our_protections_do_not_keep_an_old_deployment_alive():
    """Once idle they are released, whatever the size; those of others stay."""
    clock = told(desired=3)
    busy = listing([5.0, 0.0, 0.0], [0.0, NOON + 9999, 0.0])
    clock.sees(5, workers=busy).expects(None, Reason.PROTECTING, protected="a")
    rolling = {"rollout": Rollout.IN_PROGRESS}
    clock.after(10).sees(30, capacity=rolling).expects(None)
    assert clock.decision.wants_workers
    kept = listing([5.0, 0.0, 0.0], [NOON + 3600, NOON + 9999, 0.0])
    clock.after(10).sees(30, capacity=rolling, workers=kept, evidence=Evidence()).expects(None)
    clock.after(10).sees(30, capacity=rolling, workers=kept).expects(None)
    idle = listing([0.0, 0.0, 0.0], [NOON + 3600, NOON + 9999, 0.0])
    clock.after(10).sees(30, capacity=rolling, workers=idle, evidence=Evidence()).expects(None)
    clock.after(10).sees(30, capacity=rolling, workers=idle).expects(None, released="a")
    assert clock.decision.wants_workers
    gone = listing([0.0, 0.0, 0.0], [0.0, NOON + 9999, 0.0])
    clock.after(10).sees(30, capacity=rolling, workers=gone).expects(None)
    clock.after(10).sees(30, capacity=rolling)
    assert not clock.decision.wants_workers


def test_workers_on_their_way_hold_the_way_in_up_to_their_deadline():
    clock = told()
    clock.sees(10, pending=2).expects(None, Reason.WORKERS_PENDING)
    clock.after(minutes=9).sees(10, pending=2).expects(None, Reason.WORKERS_PENDING)
    clock.after(minutes=1).sees(10, pending=2).expects(None, Reason.WORKERS_UNLISTED)
    assert clock.alarms()["pending_too_long"] == "2 workers have not started in time"


def test_ordering_more_gives_the_pending_their_time_again():
    clock = told()
    clock.sees(10, pending=2)
    clock.after(minutes=9).sees(90, pending=2).expects(9)
    clock.after(minutes=2).sees(10, pending=4).expects(None, Reason.WORKERS_PENDING)


def test_scale_in_needs_to_know_who_is_busy():
    clock = told(desired=3)
    clock.sees(5).expects(None, Reason.WORKERS_UNLISTED)
    assert clock.decision.wants_workers
    nobody_said = listing([UNKNOWN] * 3)
    clock.after(10).sees(5, workers=nobody_said, evidence=Evidence()).expects(None, Reason.BUSY_UNKNOWN)
    assert clock.decision.wants_workers
    old = Evidence(clock.at - 51)
    clock.after(10).sees(5, workers=IDLE3, evidence=old).expects(None, Reason.BUSY_UNKNOWN)
    clock.after(10).sees(5, workers=IDLE3, evidence=Evidence(clock.at - 60)).expects(1, Reason.DEMAND)


def test_a_busy_host_that_nobody_knows_blocks_the_way_in():
    clock = told(desired=3)
    stranger = Evidence(clock.at, ("ip-10-0-0-9",))
    clock.sees(5, workers=IDLE3, evidence=stranger).expects(None, Reason.BUSY_UNPLACED)
    assert "ip-10-0-0-9" in clock.alarms()["busy_unplaced"]


def test_the_busy_are_protected_and_read_back_before_anything_leaves():
    clock = told(desired=3)
    clock.sees(5, workers=listing([5.0, 0.0, 0.0])).expects(None, Reason.PROTECTING, protected="a")
    assert clock.decision.wants_workers
    protected = listing([5.0, 0.0, 0.0], [NOON + 3600, 0.0, 0.0])
    clock.after(10).sees(5, workers=protected).expects(1, Reason.DEMAND)
    assert clock.decision.wants_workers, "the next look shows whom to release"


def test_never_below_the_busy():
    clock = told(desired=4)
    spread = listing([1.0, 1.0, 1.0, 0.0], [NOON + 3600] * 3 + [0.0])
    clock.sees(3, workers=spread).expects(3, Reason.WORKERS_HELD)


def test_never_below_the_protected_whoever_protected_them():
    clock = told(desired=3)
    theirs = listing([0.0, 0.0, 0.0], [NOON + 3600, UNKNOWN, 0.0])
    clock.sees(0, workers=theirs).expects(2, Reason.WORKERS_HELD)


def test_all_held_means_no_move():
    clock = told(desired=2)
    held = listing([1.0, 1.0], [NOON + 3600] * 2)
    clock.sees(2, workers=held).expects(None, Reason.WORKERS_HELD)


def test_a_protection_that_ends_soon_is_renewed_first():
    clock = told(desired=2)
    clock.sees(1, workers=listing([1.0, 0.0], [NOON + 600, 0.0])).expects(
        None, Reason.PROTECTING, protected="a"
    )


def test_only_what_we_protected_is_released_and_only_once_idle():
    """b was protected by somebody else; c by us, and its work is done."""
    clock = told(desired=3)
    clock.sees(9, workers=listing([1.0, 1.0, 1.0], [0.0, NOON + 300, 0.0])).expects(
        None, Reason.PROTECTING, protected="abc"
    )
    later = listing([1.0, 0.0, 0.0], [NOON + 3600] * 3)
    clock.after(10).sees(9, workers=later).expects(None, Reason.WORKERS_HELD, released="c")


def test_the_idle_are_released_while_others_are_still_to_be_protected():
    clock = told(desired=3)
    clock.sees(9, workers=listing([0.0, 0.0, 1.0])).expects(None, Reason.PROTECTING, protected="c")
    later = listing([1.0, 0.0, 0.0], [0.0, 0.0, NOON + 3600])
    clock.after(10).sees(9, workers=later).expects(None, Reason.PROTECTING, protected="a", released="c")


def test_a_protection_ends_at_its_instant():
    """It holds nobody then; and whoever needs one again gets it from us."""
    ended = [NOON, NOON, NOON]
    told(desired=3).sees(0, workers=listing([0.0] * 3, ended)).expects(1, Reason.AT_MINIMUM)
    clock = told(desired=3).sees(5, workers=listing([5.0, 0.0, 0.0], ended))
    assert clock.expects(None, Reason.PROTECTING, protected="a").state.protected == {"a"}


def test_what_we_protected_is_remembered_through_looks_that_lead_to_nothing():
    """A worker on its way, and evidence that is none."""
    clock = (
        told(desired=3)
        .sees(5, workers=listing([5.0, 0.0, 0.0]))
        .expects(None, Reason.PROTECTING, protected="a")
    )
    clock.after(10).sees(5, pending=1).expects(None, Reason.WORKERS_PENDING)
    clock.after(10).sees(5, workers=IDLE3, evidence=Evidence()).expects(None, Reason.BUSY_UNKNOWN)
    assert clock.state.protected == {"a"}


def test_of_many_that_are_gone_nobody_is_remembered():
    """Three were protected, one is left."""
    clock = told(desired=3).sees(5, workers=listing([5.0, 5.0, 5.0]))
    clock.expects(None, Reason.PROTECTING, protected="abc").after(10)
    clock.sees(5, desired=3, workers=listing([5.0], [NOON + 3600]))
    assert clock.state.protected == {"a"}


def test_whoever_is_gone_is_forgotten():
    clock = told(desired=3)
    clock.sees(5, workers=listing([5.0, 0.0, 0.0])).expects(None, Reason.PROTECTING, protected="a")
    assert clock.state.protected == {"a"}
    others = listing([0.0, 0.0], protected_until=None)
    clock.after(10).sees(5, desired=3, workers=others)
    assert clock.state.protected == frozenset()


def test_stopping_workers_hold_nobody():
    clock = told(desired=2)
    states = np.array([WorkerState.RUNNING, WorkerState.STOPPING])
    clock.sees(5, workers=listing([0.0, 5.0], [0.0, NOON + 99], state=states)).expects(1, Reason.DEMAND)


def test_no_load_anywhere_needs_no_witness():
    """Nothing queued, nothing running: nobody can be busy.  What a witness does say still counts."""
    unknown = listing([UNKNOWN] * 3)
    told(desired=3).sees(0, workers=unknown, evidence=Evidence()).expects(1, Reason.AT_MINIMUM)
    told(desired=3).sees(0, workers=listing([1.0, 0.0, 0.0])).expects(None, Reason.PROTECTING, protected="a")


def test_demand_back_undoes_the_way_in():
    clock = told(desired=3)
    clock.sees(5, workers=listing([5.0, 0.0, 0.0])).expects(None, Reason.PROTECTING, protected="a")
    clock.after(10).sees(60).expects(6, Reason.DEMAND)
    assert not clock.decision.wants_workers


def test_a_worker_of_whom_nothing_is_known_counts_as_busy():
    """The witness spoke, but not of b: it is protected like the busy ones."""
    clock = told(desired=3)
    clock.sees(5, workers=listing([5.0, UNKNOWN, 0.0])).expects(None, Reason.PROTECTING, protected="ab")
    kept = listing([5.0, UNKNOWN, 0.0], [NOON + 3600, NOON + 3600, 0.0])
    clock.after(10).sees(5, workers=kept).expects(2, Reason.WORKERS_HELD)
