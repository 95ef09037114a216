"""Stories of an operator's orders: a pause holds, an override replaces the bounds, both end by themselves."""

import pytest

from autoscaler.core.guards import Bounds, Rate, RateLimit, RateRule
from autoscaler.core.orders import bounds_now
from policies.model import Applied, Reason
from policies.orders import Orders, Override, Pause, Way
from tests.core.clock import NOON, told
from tests.core.test_removal import IDLE_ONLY, lowered, ready, seen, three

FOREVER = float("inf")


def pause(way=Way.BOTH, until=FOREVER):
    return Pause(way, until, NOON, "anna", "database upgrade")


def override(minimum=None, maximum=None, until=NOON + 600):
    return Override(minimum, maximum, until, NOON, "anna", "night batch")


def test_a_pause_holds_whatever_is_wanted_and_says_who_wants_it_and_why():
    """Demand for 12, then for none: 5 stay, until it is resumed."""
    clock = told().ordered(pause())
    clock.sees(120).expects(None, Reason.PAUSED)
    assert clock.decision.trail[-1].note == "until it is resumed, ordered by anna: database upgrade"
    clock.after(10).sees(0).expects(None, Reason.PAUSED)
    clock.ordered().after(10).sees(120).expects(12, Reason.DEMAND)


def test_a_pause_of_one_way_leaves_the_other_free():
    """And is silent while it holds nothing up."""
    clock = told(acts=False).ordered(pause(Way.IN))
    clock.sees(20).expects(None, Reason.PAUSED).after(10).sees(120).expects(12, Reason.DEMAND)
    clock.after(10).sees(50).expects(None, Reason.DEMAND)
    clock.ordered(pause(Way.OUT)).after(10).sees(120).expects(None, Reason.PAUSED)
    clock.after(10).sees(20).expects(None, Reason.WORKERS_UNLISTED)


def test_a_pause_ends_by_itself_at_its_instant():
    """By the time of the look."""
    clock = told().ordered(pause(until=NOON + 30))
    clock.sees(120).expects(None, Reason.PAUSED)
    assert clock.decision.trail[-1].note.startswith("for 30 s more")
    clock.after(29).sees(120).expects(None, Reason.PAUSED).after(1).sees(120).expects(12, Reason.DEMAND)


def test_a_pause_holds_even_a_size_outside_of_the_bounds():
    """Whoever pauses means: hands off.  The bounds' wish stays in the trail."""
    clock = told(desired=30).ordered(pause()).sees(300)
    assert clock.expects(None, Reason.PAUSED).because()[-2:] == [Reason.AT_MAXIMUM, Reason.PAUSED]
    clock = told(desired=0).ordered(pause(Way.OUT)).sees(0)
    assert clock.expects(None, Reason.PAUSED).because()[-2:] == [Reason.AT_MINIMUM, Reason.PAUSED]


def test_an_override_replaces_the_bounds_until_it_expires():
    """At least eight for ten minutes, then one again."""
    clock = told(acts=False).ordered(override(8))
    clock.sees(20).expects(8, Reason.OVERRIDDEN)
    note = "minimum 8 for 600 s more, ordered by anna: night batch"
    assert clock.decision.trail[-1].note == note
    clock.after(600).sees(60).expects(6, Reason.DEMAND)


def test_an_override_of_one_bound_leaves_the_other():
    """Whichever binds says whose it is."""
    clock = told(acts=False).ordered(override(8))
    clock.sees(900).expects(20, Reason.AT_MAXIMUM)
    clock.ordered(override(maximum=9)).after(10).sees(900).expects(9, Reason.OVERRIDDEN)
    clock.ordered(override(maximum=9, until=NOON)).after(10).sees(900).expects(20, Reason.AT_MAXIMUM)


@pytest.mark.parametrize(
    ("minimum", "maximum", "in_force"),
    [
        (None, None, Bounds(2, 10)),
        (4, None, Bounds(4, 10)),
        (12, None, Bounds(12, 12)),
        (None, 1, Bounds(1, 1)),
        (None, 30, Bounds(2, 30)),
        (9, 3, Bounds(9, 9)),
    ],
)
def test_where_bounds_cross_the_ordered_one_counts(minimum, maximum, in_force):
    orders = Orders(override=override(minimum, maximum))
    assert bounds_now(Bounds(2, 10), orders, NOON) == in_force
    assert bounds_now(Bounds(2, 10), orders, NOON + 600) == Bounds(2, 10)
    assert bounds_now(Bounds(2, 10), Orders(), NOON) == Bounds(2, 10)
    assert bounds_now(Bounds(2, 10), None, NOON) == Bounds(2, 10)


def test_the_way_to_an_ordered_bound_is_as_short_as_to_a_configured_one():
    """The rate binds what the policy asks for; the workers that are busy are kept by the removal."""
    rate = RateLimit(Rate((RateRule(1, 60.0),)), Rate((RateRule(1, 60.0),)))
    told(rate=rate).ordered(override(12)).sees(50).expects(12, Reason.OVERRIDDEN)
    told(rate=rate, acts=False).ordered(override(maximum=3)).sees(50).after(10).sees(
        50, workers=seen([10, 0, 0, 0, 0])
    ).expects(None, Reason.PROTECTING, protected="a")


def test_a_pause_and_an_override_together():
    """The pause holds; of the override remains what goes the other way."""
    clock = told(acts=False).ordered(pause(), override(8))
    clock.sees(20).expects(None, Reason.PAUSED)
    clock.ordered(pause(Way.IN), override(8)).after(10).sees(20).expects(8, Reason.OVERRIDDEN)
    clock.ordered(pause(Way.OUT), override(8)).after(10).sees(20).expects(None, Reason.PAUSED)


@pytest.mark.parametrize("way", [Way.BOTH, Way.IN])
def test_a_pause_before_the_write_gives_the_workers_back_to_work(way):
    """Whoever had its intake stopped takes tasks again, as if demand had returned: once it is protected."""
    clock = ready(three(IDLE_ONLY)).ordered(pause(way))
    clock.sees(5, workers=seen([5, 0, 0], stopped="b", protected="ac"))
    clock.expects(None, Reason.PAUSED, stopped="b", protected="b")
    clock.after(10).sees(5, workers=seen([5, 0, 0], stopped="b", protected="abc"))
    clock.expects(None, Reason.PAUSED)


def test_a_pause_after_the_write_lets_go_whoever_is_leaving():
    """The size was lowered by it: the service stops it whatever we say, so it takes no task until then."""
    clock = lowered(three(IDLE_ONLY)).ordered(pause())
    clock.sees(5, workers=seen([5, 0, 0], stopped="b", protected="ac")).expects(
        None, Reason.PAUSED, stopped="b"
    )
    clock.after(10).sees(5, workers=seen([5, 0, 0], protected="ac", without="b")).expects(None, Reason.PAUSED)


def test_a_pause_of_the_way_out_lets_a_removal_go_on():
    clock = ready(three(IDLE_ONLY)).ordered(pause(Way.OUT))
    clock.sees(5, workers=seen([5, 0, 0], stopped="b", protected="ac"))
    clock.expects(2, Reason.DRAINING, stopped="b")


def test_a_pause_while_the_fleet_is_not_seen_gives_the_workers_back_too():
    clock = (
        ready(three(IDLE_ONLY))
        .sees(5, fleet_unknown="no answer")
        .expects(None, Reason.CAPACITY_UNKNOWN, stopped="b")
    )
    clock.ordered(pause()).after(10).sees(5, fleet_unknown="no answer")
    clock.expects(None, Reason.CAPACITY_UNKNOWN, stopped="b").after(minutes=5)
    clock.sees(5, fleet_unknown="no answer").expects(None, Reason.CAPACITY_UNKNOWN)


def test_a_worker_that_a_dead_daemon_left_without_tasks_works_again_also_under_a_pause():
    """It is protected first, and then takes tasks: nothing of it moves the size."""
    clock = three(IDLE_ONLY).ordered(pause())
    clock.sees(5, workers=seen([5, 0, 0], stopped="b")).expects(
        None, Reason.PAUSED, stopped="b", protected="b"
    )
    clock.after(10).sees(5, workers=seen([5, 0, 0], stopped="b", protected="b")).expects(None, Reason.PAUSED)


def test_a_foreign_write_under_a_pause_is_a_new_baseline():
    """The operator pauses and sets the size by hand: afterwards nothing fights it."""
    clock = told().ordered(pause()).sees(50)
    clock.after(10).sees(50, desired=9).after(10).sees(50).expects(None, Reason.PAUSED)
    assert clock.wrote(Applied(None)).after(10).sees(0).expects(None, Reason.PAUSED)


def test_what_stands_is_what_has_not_expired():
    """Each ends by itself; of nothing, nothing is left."""
    both = Orders(pause(until=NOON + 30), override())
    assert both.standing(NOON) == both
    assert both.standing(NOON + 30) == Orders(override=override())
    assert both.standing(NOON + 600) is None
    assert Orders(pause(), override()).standing(NOON + 600) == Orders(pause())
