"""Stories of the guards: tolerance, stabilisation, cooldown, rate, bounds."""

import pytest

from autoscaler.core.alarms import Watch
from autoscaler.core.guards import (
    Bounds,
    Cooldown,
    Rate,
    RateLimit,
    RateRule,
    RateSelect,
    RateUnit,
    Stabilization,
    Tolerance,
)
from policies.model import (
    Reason,
    Refused,
    Unknown,
)
from policies.mwaa import Mwaa
from tests.core.clock import listing, told

IDLE5 = listing([0.0] * 5)


@pytest.mark.parametrize(
    "limit",
    [
        {"cooldown": Cooldown(60.0, 120.0)},
        {"cooldown": Cooldown(in_seconds=120.0)},
        {"rate": RateLimit(Rate((RateRule(2, 60.0),)))},
    ],
)
def test_a_clock_that_is_set_back_leaves_the_way_out_free(limit):
    """An hour back: the moves lie in the future then, and must not hold the size for that hour."""
    clock = told(**limit)
    clock.sees(60).expects(6, Reason.DEMAND)
    clock.after(-3600).sees(80).expects(8, Reason.DEMAND)


BACK = -3600.0
"""Somebody sets the daemon's clock back by an hour."""


def until_it_leaves(clock, load, within_seconds):
    """Looks every ten seconds; how long it took until fewer workers were wanted."""
    begun = clock.at
    while clock.at - begun <= within_seconds:
        clock.after(10).sees(load, workers=listing([0.0] * clock.desired))
        if clock.decision.desired is not None:
            return clock.at - begun
    return None


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        ({"cooldown": Cooldown(in_seconds=120.0)}, 130),
        ({"stabilization": Stabilization(in_seconds=120.0)}, 130),
        ({"stabilization": Stabilization(out_seconds=60.0, in_seconds=60.0)}, 70),
    ],
)
def test_a_clock_that_is_set_back_holds_the_way_in_up_no_longer_than_ever(limit, seconds):
    """An hour back: what was remembered lies in the future then, and counts as of now."""
    clock = told(desired=9, **limit)
    for _ in range(20):
        clock.after(10).sees(60, workers=listing([0.0] * clock.desired))
    assert clock.desired == 6
    clock.sees(60).after(BACK)
    assert until_it_leaves(clock, 20, seconds) is not None


def test_a_clock_that_is_set_back_makes_quiet_and_doubt_no_longer():
    """Neither a foreign write nor one without an answer holds the size for the hour."""
    clock = told(desired=6)
    clock.sees(60).after(10).sees(60, desired=9).after(10).sees(60).after(BACK)
    assert until_it_leaves(clock, 60, 320) > 280
    clock = told(desired=4, acts=False)
    clock.sees(60).wrote(Unknown(6, "lost")).after(10).sees(60, desired=4).after(BACK)
    clock.acts = True
    assert until_it_leaves(clock, 10, 80) is not None


def test_a_clock_that_is_set_back_makes_idleness_no_longer():
    """`when-idle` waits its two minutes, and not the hour beside."""
    clock = told(desired=6, policy=Mwaa(10))
    clock.sees(0).after(BACK)
    assert until_it_leaves(clock, 0, 130) is not None


def test_a_clock_that_is_set_back_makes_alarms_no_later():
    """Workers that do not start, and workers that do not listen."""
    clock = told(desired=6, watch=Watch(10, 20, deaf_seconds=300.0, pending_deadline_seconds=600.0))
    clock.sees(queued=5, pending=2).after(BACK)
    for _ in range(61):
        clock.sees(queued=5, pending=2).after(10)
    assert {"deaf_workers", "pending_too_long"} <= set(clock.alarms())


def test_small_changes_are_noise():
    """Of 10 workers, a wish of 10.9 or 9.1 stays 10."""
    clock = told(desired=10, tolerance=Tolerance(0.1, 0.1))
    clock.sees(109).expects(None, Reason.WITHIN_TOLERANCE)
    clock.after(10).sees(91).expects(None, Reason.WITHIN_TOLERANCE)
    clock.after(10).sees(111).expects(12, Reason.DEMAND)


def test_tolerance_of_nothing_is_nothing():
    told(desired=0, bounds=Bounds(0, 5), tolerance=Tolerance(0.1, 0.1)).sees(1).expects(1, Reason.DEMAND)


def test_scale_in_waits_for_the_last_peak_to_leave_the_window():
    """Three quiet minutes are not enough after a burst; five are."""
    clock = told(stabilization=Stabilization(in_seconds=300.0))
    clock.sees(150).expects(15)
    clock.after(minutes=3).sees(20).expects(None, Reason.STABILIZING)
    clock.after(minutes=1, seconds=59).sees(20).expects(None, Reason.STABILIZING)
    clock.after(seconds=1).sees(20).expects(None, Reason.WORKERS_UNLISTED)


def test_scale_in_stops_at_the_highest_wish_of_the_window():
    clock = told(desired=10, stabilization=Stabilization(in_seconds=60.0))
    clock.sees(100)
    clock.after(50).sees(70).expects(None, Reason.STABILIZING)
    idle = listing([0.0] * 10)
    clock.after(20).sees(0, workers=idle).expects(7, Reason.STABILIZING)


def test_scale_out_waits_until_the_whole_window_wants_it():
    """At first sight the current size is in the window."""
    clock = told(stabilization=Stabilization(out_seconds=60.0))
    clock.sees(150).expects(None, Reason.STABILIZING)
    clock.after(30).sees(90).expects(None, Reason.STABILIZING)
    clock.after(30).sees(150).expects(9, Reason.STABILIZING)
    clock.after(30).sees(150).expects(15, Reason.DEMAND)


def test_an_outage_empties_the_way_out_window_and_fills_the_way_in():
    """Missing data blocks the way in, never the way out."""
    clock = told(stabilization=Stabilization(60.0, 60.0))
    clock.sees(50)
    for _ in range(8):
        clock.after(10).sees(unreadable="down").expects(None, Reason.NO_DATA)
    clock.after(10).sees(20).expects(None, Reason.STABILIZING)
    clock = told(stabilization=Stabilization(60.0, 60.0))
    clock.sees(50)
    for _ in range(8):
        clock.after(10).sees(unreadable="down")
    clock.after(10).sees(80).expects(8, Reason.DEMAND)


def test_blind_minutes_do_not_count_as_agreement():
    """While the fleet is unknown its size was wished to stay."""
    clock = told(stabilization=Stabilization(in_seconds=60.0))
    clock.sees(50)
    for _ in range(8):
        clock.after(10).sees(20, fleet_unknown="throttled")
    clock.after(10).sees(20).expects(None, Reason.STABILIZING)


def test_each_direction_cools_down():
    clock = told(cooldown=Cooldown(60.0, 120.0))
    clock.sees(60).expects(6)
    clock.after(30).sees(70).expects(None, Reason.COOLING_DOWN)
    clock.after(30).sees(70).expects(7)
    idle = listing([0.0] * 7)
    clock.after(30).sees(0, workers=idle).expects(1, Reason.AT_MINIMUM)
    clock.after(30).sees(40, desired=1).expects(4, Reason.DEMAND)
    clock.after(80).sees(0, workers=listing([0.0] * 4)).expects(None, Reason.COOLING_DOWN)


def test_a_dry_run_cools_nothing_down():
    """Nothing was written, so nothing moved."""
    clock = told(cooldown=Cooldown(60.0, 60.0), acts=False)
    clock.sees(60).expects(6)
    clock.after(10).sees(70).expects(7)


def test_a_refused_write_cools_nothing_down():
    clock = told(cooldown=Cooldown(60.0, 60.0), acts=False)
    clock.sees(60).expects(6)
    clock.after(10).wrote(Refused(6, "throttled")).sees(70).expects(7)


def test_four_a_minute_and_no_more():
    """6 became 10 half a minute ago: that was the minute's worth."""
    clock = told(desired=6, rate=RateLimit(outward=Rate((RateRule(4, 60.0),))))
    clock.sees(200).expects(10, Reason.RATE_LIMITED)
    clock.after(30).sees(200).expects(None, Reason.RATE_LIMITED)
    clock.after(30).sees(200).expects(14, Reason.RATE_LIMITED)


def test_the_way_in_has_its_own_rate():
    half = RateRule(50, 60.0, RateUnit.PERCENT)
    clock = told(desired=5, rate=RateLimit(inward=Rate((half,))))
    clock.sees(0, workers=IDLE5).expects(2, Reason.RATE_LIMITED)
    clock.after(30).sees(0, workers=listing([0.0, 0.0])).expects(None, Reason.RATE_LIMITED)


def test_the_most_generous_or_the_strictest_of_several_rates():
    rules = (RateRule(1, 60.0), RateRule(50, 60.0, RateUnit.PERCENT))
    for select, out, into in (
        (RateSelect.MAX, 9, 3),
        (RateSelect.MIN, 7, 5),
        (RateSelect.DISABLED, None, None),
    ):
        rate = Rate(rules, select)
        clock = told(desired=6, rate=RateLimit(rate, rate))
        clock.sees(200).expects(out, Reason.RATE_LIMITED)
        clock = told(desired=6, rate=RateLimit(rate, rate))
        clock.sees(0, workers=listing([0.0] * 6)).expects(into, Reason.RATE_LIMITED)


def test_a_percentage_can_leave_zero():
    rate = RateLimit(outward=Rate((RateRule(50, 60.0, RateUnit.PERCENT),)))
    told(desired=0, bounds=Bounds(0, 9), rate=rate).sees(queued=90).expects(1, Reason.RATE_LIMITED)


def test_no_rate_binds_the_way_to_the_minimum():
    rate = RateLimit(outward=Rate((RateRule(1, 60.0),)))
    told(desired=1, bounds=Bounds(4, 9), rate=rate).sees(90).expects(4, Reason.AT_MINIMUM)


def test_a_write_without_an_answer_counts_once_for_the_rate():
    """It may have been applied, or not: the minute began at six either way."""
    clock = told(desired=6, acts=False, rate=RateLimit(outward=Rate((RateRule(4, 60.0),))))
    clock.sees(200).expects(10)
    clock.after(10).wrote(Unknown(10, "timeout")).sees(200).expects(10)
    clock.after(10).wrote(Unknown(10, "timeout")).sees(200).expects(10)
    clock.after(10).sees(200, desired=10).expects(None, Reason.RATE_LIMITED)


def test_a_write_heard_of_while_blind_still_counts():
    clock = told(desired=6, rate=RateLimit(outward=Rate((RateRule(4, 60.0),))))
    clock.sees(200).expects(10)
    clock.after(10).sees(200, fleet_unknown="throttled")
    clock.after(10).sees(200).expects(None, Reason.RATE_LIMITED)


def test_moves_are_forgotten_after_the_longest_period():
    clock = told(desired=1, rate=RateLimit(Rate((RateRule(1, 30.0), RateRule(100, 60.0)))))
    for load in range(20, 200, 10):
        clock.after(31).sees(load).expects(load // 10)
    assert len(clock.state.moves) <= 2


def test_the_bounds_say_so():
    told().sees(999).expects(20, Reason.AT_MAXIMUM)
    told(desired=0).sees(0).expects(1, Reason.AT_MINIMUM)


def test_impossible_guards_are_refused():
    with pytest.raises(ValueError, match="minimum 5 is above maximum 4"):
        Bounds(5, 4)
    with pytest.raises(ValueError, match="must be whole for unit 'count'"):
        RateRule(1.5, 60.0)
