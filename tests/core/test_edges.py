"""Where a limit begins to bind: exactly there, and not a worker or a second beside it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.guards import (
    Bounds,
    Cooldown,
    Rate,
    RateLimit,
    RateRule,
    RateUnit,
    Stabilization,
    Tolerance,
    WarmUp,
)
from autoscaler.core.ownership import noticed, observes_only, written
from autoscaler.core.state import Ownership, Wishes
from policies.model import Applied, Reason
from policies.mwaa import Mwaa
from tests.core.clock import listing, told

HALF = RateRule(50, 60.0, RateUnit.PERCENT)


@pytest.mark.parametrize(("load", "stays"), [(30, True), (29, False), (50, True), (51, False)])
def test_a_tolerance_holds_up_to_its_very_end(load: float, stays: bool):  # noqa: FBT001
    """A quarter of four workers each way: three to five."""
    clock = told(desired=4, tolerance=Tolerance(0.25, 0.25)).sees(load)
    assert (Reason.WITHIN_TOLERANCE in clock.because()) is stays


def test_a_single_worker_has_a_tolerance_too():
    told(desired=1, tolerance=Tolerance(0.25, 0.25)).sees(12).expects(None, Reason.WITHIN_TOLERANCE)


def test_a_window_that_nothing_is_left_of_holds_the_way_in():
    """After a gap longer than the window there is no wish to go by but the size that is."""
    clock = told(stabilization=Stabilization(in_seconds=60.0)).sees(50)
    clock.after(3600).sees(20).expects(None, Reason.STABILIZING)


def test_a_window_that_agrees_says_nothing():
    clock = told(stabilization=Stabilization(in_seconds=60.0)).sees(50)
    for _ in range(6):
        clock.after(30).sees(30)
    assert clock.because() == [Reason.DEMAND, Reason.WORKERS_UNLISTED]


def test_blind_minutes_are_in_the_window_at_their_own_time():
    """At 50 s the fleet was not seen: until 110 s its size of then counts."""
    clock = told(stabilization=Stabilization(in_seconds=60.0)).sees(50)
    clock.after(50).sees(20, fleet_unknown="throttled")
    clock.after(20).sees(20).expects(None, Reason.STABILIZING)
    clock.after(39).sees(20).expects(None, Reason.STABILIZING)
    clock.after(1).sees(20).expects(None, Reason.WORKERS_UNLISTED)


def test_a_blind_look_is_remembered():
    """Load that was seen then ends the idle time, and the look is in the history."""
    clock = told(policy=Mwaa(10)).sees(0)
    clock.after(60).sees(5, fleet_unknown="throttled")
    assert len(clock.state.history) == 2
    clock.after(65).sees(0).expects(None, Reason.WAITING_FOR_IDLE)


def test_a_cooldown_begins_with_the_look_that_moved():
    """Also for another look at the same instant."""
    clock = told(cooldown=Cooldown(60.0)).sees(60)
    clock.sees(70).expects(None, Reason.COOLING_DOWN)
    clock.after(59.5).sees(70).expects(None, Reason.COOLING_DOWN)
    clock.after(0.5).sees(70).expects(7, Reason.DEMAND)


@pytest.mark.parametrize(
    "limits",
    [
        {"cooldown": Cooldown(60.0, 60.0)},
        {"warm_up": WarmUp(60.0)},
        {"rate": RateLimit(Rate((RateRule(1, 60.0),)), Rate((RateRule(1, 60.0),)))},
    ],
    ids=["cooldown", "warm-up", "rate"],
)
def test_a_size_that_is_right_is_limited_by_nothing(limits):
    """Six from then on, and at last five again."""
    clock = told(**limits).sees(60).after(10).sees(60)
    assert clock.because() == [Reason.DEMAND]
    clock = told(desired=6, **limits).sees(60).after(60).sees(50, workers=listing([0.0] * 6)).expects(5)
    clock.after(10).sees(50)
    assert clock.because() == [Reason.DEMAND]


def test_a_write_of_the_size_that_is_cools_nothing_down():
    """Five were desired, and five were written: nothing moved."""
    cooldown = Cooldown(60.0, 60.0)
    told(cooldown=cooldown, acts=False).sees(50).wrote(Applied(5)).sees(70).expects(7, Reason.DEMAND)
    told(cooldown=cooldown, acts=False).sees(50).wrote(Applied(5)).sees(20).expects(
        None, Reason.WORKERS_UNLISTED
    )


def test_a_rate_counts_a_move_of_the_same_instant():
    clock = told(desired=6, rate=RateLimit(Rate((RateRule(4, 60.0),)))).sees(200).expects(10)
    clock.sees(200).expects(None, Reason.RATE_LIMITED)


def test_a_rate_counts_every_move_of_its_period():
    """Four a minute: two, and 20 s later two more, are a minute's worth."""
    clock = told(desired=6, rate=RateLimit(Rate((RateRule(4, 60.0),)))).sees(80).expects(8)
    clock.after(20).sees(100).expects(10)
    clock.after(0).sees(200).expects(None, Reason.RATE_LIMITED)
    clock.after(39).sees(200).expects(None, Reason.RATE_LIMITED)
    clock.after(1).sees(200).expects(12, Reason.RATE_LIMITED)


@pytest.mark.parametrize(("current", "out", "into"), [(3, 5, 1), (5, 8, 2), (7, 11, 3)])
def test_half_of_an_odd_fleet(current: int, out: int, into: int):
    """Out it is rounded up, in down: half of three more is five, half of three less is one."""
    rate = RateLimit(Rate((HALF,)), Rate((HALF,)))
    told(desired=current, rate=rate).sees(200).expects(out, Reason.RATE_LIMITED)
    told(desired=current, rate=rate, bounds=Bounds(0, 20)).sees(0, workers=listing([0.0] * current)).expects(
        into, Reason.RATE_LIMITED
    )


def test_a_percentage_of_many_is_exact():
    half = RateLimit(Rate((HALF,)))
    told(desired=1000, bounds=Bounds(0, 9000), rate=half).sees(90000).expects(1500, Reason.RATE_LIMITED)


def test_a_rate_lets_a_fleet_go_to_nothing():
    rate = RateLimit(inward=Rate((RateRule(5, 60.0),)))
    told(desired=1, bounds=Bounds(0, 9), rate=rate).sees(0, workers=listing([0.0])).expects(0, Reason.DEMAND)


def test_a_foreign_write_is_an_hour_old_after_an_hour():
    ownership = Ownership((5,), foreign_at=(0.0, 1.0, 2.0))
    assert observes_only(ownership, 3599.9)
    assert not observes_only(ownership, 3600.0)
    assert noticed(ownership, 5, 3600.0).foreign_at == (1.0, 2.0)


def test_an_answered_write_ends_the_doubt_of_the_one_before():
    doubt = Ownership((5, 9), wrote_at=1.0, unconfirmed=True)
    assert written(doubt, Applied(10), 7.0) == Ownership((10, 5, 9), wrote_at=7.0)
    assert written(doubt, Applied(5), 7.0) == Ownership((5, 9), wrote_at=1.0)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=20), st.integers(1, 12))
def test_a_window_of_wishes_is_a_plain_list_without_the_beaten(steps: list[tuple[int, int]], window: int):
    """Of a list of all wishes: the largest that is young enough; and none is kept that cannot be it again."""
    wishes, plain, at = Wishes(), [], 0
    for pause, wish in steps:
        at += pause
        wishes = wishes.seen(at, wish, window, beats=int.__gt__)
        plain = [each for each in plain if at - each[0] < window and each[1] > wish] + [(at, wish)]
        assert list(wishes.entries) == plain
        assert wishes.extreme(at, window) == max(each[1] for each in plain)
        assert wishes.extreme(at + window, window) is None
