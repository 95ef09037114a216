"""Stories of who else sets the size: foreign writes, late ones, deployments."""

import pytest

from autoscaler.core.guards import (
    Bounds,
)
from policies.model import (
    Applied,
    Reason,
    Rollout,
    Unknown,
)
from tests.core.clock import listing, told


def test_a_foreign_write_is_believed_at_second_sight_and_respected_for_five_minutes():
    clock = told()
    clock.sees(50).expects(None)
    clock.after(10).sees(90, desired=2).expects(None, Reason.FOREIGN_WRITE)
    clock.after(10).sees(90).expects(9, Reason.DEMAND)
    clock.after(10).sees(20).expects(None, Reason.FOREIGN_WRITE)
    clock.after(minutes=5).sees(20).expects(None, Reason.WORKERS_UNLISTED)


def test_not_even_a_bound_is_written_at_first_sight_of_a_foreign_write():
    clock = told(bounds=Bounds(4, 9))
    clock.sees(50)
    clock.after(10).sees(50, desired=1).expects(None, Reason.FOREIGN_WRITE)
    clock.after(10).sees(50).expects(5)


def test_quiet_beats_the_maximum():
    clock = told()
    clock.sees(50)
    clock.after(10).sees(50, desired=40)
    clock.after(10).sees(400).expects(None, Reason.AT_MAXIMUM)
    clock.after(minutes=5).sees(400).expects(None, Reason.WORKERS_UNLISTED)


def test_three_foreign_writes_in_an_hour_mean_hands_off():
    clock = told()
    clock.sees(50)
    for desired in (6, 7, 8):
        clock.after(minutes=5).sees(50, desired=desired).expects(None, Reason.FOREIGN_WRITE)
    clock.after(minutes=1).sees(150).expects(None, Reason.FOREIGN_WRITE)
    assert "foreign_writes" in clock.alarms()
    clock.after(minutes=50).sees(150).expects(15, Reason.DEMAND)


def test_our_own_write_is_no_foreign_one():
    clock = told()
    clock.sees(90).expects(9)
    clock.after(10).sees(120).expects(12)
    clock.after(10).sees(120).expects(None, Reason.DEMAND)


def test_a_write_may_show_late():
    """For a minute the old count surprises nobody, and is written again; then somebody resets it."""
    clock = told(acts=False)
    clock.sees(90).expects(9)
    for _ in range(6):
        clock.after(10).wrote(Applied(9)).sees(90).expects(9, Reason.DEMAND)
    clock.after(10).wrote(Applied(9)).sees(90).expects(None, Reason.FOREIGN_WRITE)


def test_several_writes_may_show_late():
    clock = told(acts=False)
    clock.sees(90).expects(9)
    clock.after(10).wrote(Applied(9)).sees(100).expects(10)
    clock.after(10).wrote(Applied(10)).sees(100).expects(10)
    clock.after(10).wrote(Unknown(11, "timeout")).sees(100, desired=9).expects(11, Reason.WRITE_UNCONFIRMED)
    clock.after(10).sees(100, desired=11).expects(None, Reason.WORKERS_UNLISTED)


def test_a_write_in_doubt_blocks_the_way_in():
    clock = told(desired=3, acts=False)
    clock.sees(90).expects(9)
    clock.after(10).wrote(Unknown(9, "timeout")).sees(10).expects(None, Reason.WRITE_UNCONFIRMED)
    clock.after(10).sees(120).expects(12, Reason.DEMAND)
    clock.after(60).sees(10).expects(None, Reason.WORKERS_UNLISTED)


@pytest.mark.parametrize("outcome", [Applied(9), Unknown(9, "no answer")], ids=["applied", "no answer"])
def test_a_way_out_never_undercuts_a_larger_size_that_may_still_show(outcome):
    """Nine were written, five are seen: eight would send a ninth away that may be at work by then."""
    clock = told(acts=False)
    clock.sees(90).expects(9)
    clock.after(10).wrote(outcome).sees(80).expects(9, Reason.WRITE_UNCONFIRMED)
    clock.after(10).sees(100).expects(10, Reason.DEMAND)


def test_nor_does_a_way_in():
    """What looks like one worker less would be five less than there will be."""
    clock = told(acts=False)
    clock.sees(90).expects(9)
    clock.after(10).wrote(Applied(9)).sees(40).expects(None, Reason.WRITE_UNCONFIRMED)
    clock.after(10).sees(40, desired=9).expects(None, Reason.WORKERS_UNLISTED)


def test_nor_does_a_limit_that_was_lowered_meanwhile():
    """Then the size stays until it is known."""
    clock = told(acts=False)
    clock.sees(90).expects(9)
    clock.reloads(bounds=Bounds(1, 7))
    clock.after(10).wrote(Unknown(9, "no answer")).sees(80).expects(None, Reason.WRITE_UNCONFIRMED)
    clock.after(minutes=2).sees(80).expects(7, Reason.AT_MAXIMUM)


def test_a_write_in_doubt_that_arrives_is_ours():
    clock = told(acts=False)
    clock.sees(90).expects(9)
    clock.after(10).wrote(Unknown(9, "timeout")).sees(90).expects(9)
    clock.after(30).sees(20, desired=9).expects(None, Reason.WORKERS_UNLISTED)


def test_two_masters_mean_hands_off():
    clock = told()
    clock.sees(150, capacity={"contested_by": "Application Auto Scaling"}).expects(None, Reason.CONTESTED)
    assert "Application Auto Scaling" in clock.alarms()["contested"]


def test_a_deployment_blocks_the_way_in_and_not_the_way_out():
    rolling = {"rollout": Rollout.IN_PROGRESS}
    clock = told()
    clock.sees(10, capacity=rolling).expects(None, Reason.DEPLOYING)
    clock.after(10).sees(80, capacity=rolling).expects(8, Reason.DEMAND)


def test_a_deployment_keeps_a_lowered_maximum_waiting():
    clock = told(bounds=Bounds(1, 3))
    clock.sees(90, capacity={"rollout": Rollout.IN_PROGRESS}).expects(None, Reason.AT_MAXIMUM)


def test_a_failed_deployment_is_no_reason_to_ask_for_more():
    clock = told(desired=0)
    clock.sees(80, capacity={"rollout": Rollout.FAILED}).expects(None, Reason.DEPLOYMENT_FAILED)
    assert "deployment_failed" in clock.alarms()


def test_an_observer_is_not_fought_by_whoever_does_set_the_size():
    """Another autoscaler goes on sizing the service; what we would do is told all the same."""
    clock = told(observing=True, acts=False)
    contested = {"contested_by": "an Application Auto Scaling target"}
    for desired in (2, 7, 3, 8, 4):
        clock.after(10).sees(90, desired=desired, capacity=contested).expects(9, Reason.DEMAND)
    assert set(clock.alarms()) == {"contested"}


def test_an_observer_shows_a_scale_in_as_if_its_protections_were_set():
    """Nobody sets them, so waiting for them would hide what comes next."""
    clock = told(observing=True, acts=False)
    clock.sees(20, workers=listing([5.0, 5.0, 5.0, 0.0, 0.0])).expects(3, Reason.WORKERS_HELD)
