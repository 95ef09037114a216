"""What the step keeps from one look to the next, and what it must not keep."""

import pytest

from autoscaler.core.guards import Bounds, Rate, RateLimit, RateRule, Stabilization, WarmUp
from autoscaler.core.ownership import noticed
from autoscaler.core.state import Ownership
from policies.model import Capacity, Demand, Observation, Reason, Unavailable
from policies.orders import Pause, Way
from tests.core.clock import NOON, UNKNOWN, told
from tests.core.test_data import Says

FOUR_A_MINUTE = RateLimit(outward=Rate((RateRule(4, 60.0),)))
INFINITY = float("inf")


@pytest.mark.parametrize(
    "demand",
    [
        {"queued": INFINITY},
        {"running": INFINITY},
        {"demand": {"oldest_wait_seconds": INFINITY}},
        {"demand": {"scheduled": INFINITY}},
        {"age": 120.5},
        {"age": -120.5},
    ],
    ids=str,
)
def test_what_is_not_credible_is_remembered_as_no_reading(demand):
    """The policy and the history see why it is none; the fleet is seen all the same."""
    latest = told().sees(**demand).expects(None, Reason.NO_DATA).state.history.latest
    assert isinstance(latest.demand, Unavailable)
    assert latest.capacity == Capacity(5, 0, 5)


@pytest.mark.parametrize("age", [120.0, -120.0])
def test_two_minutes_are_not_too_old(age):
    """Nor in the future: clocks differ."""
    told().sees(80, age=age).expects(8, Reason.DEMAND)


def test_an_impossible_fleet_is_remembered_as_no_reading():
    latest = told().sees(50, desired=-1).state.history.latest
    assert isinstance(latest.capacity, Unavailable)
    assert latest.demand == Demand(0.0, 50, NOON)


def test_a_write_that_is_heard_of_with_an_impossible_reading_counts():
    clock = told(desired=6, rate=FOUR_A_MINUTE).sees(200).expects(10)
    clock.after(10).sees(queued=UNKNOWN).after(10).sees(200).expects(None, Reason.RATE_LIMITED)


def test_an_order_beside_an_impossible_reading_counts():
    clock = told(bounds=Bounds(7, 9)).ordered(Pause(Way.OUT, INFINITY, NOON))
    clock.sees(queued=UNKNOWN).expects(None, Reason.PAUSED)


def test_part_of_a_reading_says_nothing_of_how_little_would_do():
    """It is not in the window of the way out, which a whole one of nothing is."""
    guards = {"stabilization": Stabilization(out_seconds=60.0)}
    clock = told(**guards).sees(50).after(50).sees(50, demand={"whole": False})
    clock.after(20).sees(150).expects(15, Reason.DEMAND)
    for load in (0, 5):
        clock = told(**guards).sees(50).after(50).sees(load)
        clock.after(20).sees(150).expects(None, Reason.STABILIZING)


def test_the_size_at_first_sight_counts_for_the_whole_window():
    clock = told(stabilization=Stabilization(in_seconds=60.0)).sees(20)
    clock.after(30).sees(20).expects(None, Reason.STABILIZING)
    clock.after(30).sees(20).expects(None, Reason.WORKERS_UNLISTED)


def test_a_window_of_wishes_makes_it_forget_nothing():
    """When it was first warm, since when workers are missing, since when tasks wait beside free slots."""
    clock = told(stabilization=Stabilization(1.0, 1.0), warm_up=WarmUp(60.0)).sees(50)
    clock.after(60).sees(20).after(0.5).sees(20).expects(None, Reason.WORKERS_UNLISTED)
    clock = told(stabilization=Stabilization(1.0, 1.0))
    for _ in range(3):
        clock.after(300).sees(queued=1, running=9, pending=2)
    assert set(clock.alarms()) == {"deaf_workers", "pending_too_long"}


def test_rates_count_from_somebody_elses_size():
    """6 became 10, then somebody made it 3: seven are four more than that."""
    clock = told(desired=6, rate=FOUR_A_MINUTE).sees(200).expects(10)
    clock.after(10).sees(200, desired=3).after(10).sees(200).expects(7, Reason.RATE_LIMITED)


def test_the_quiet_after_a_foreign_write_is_five_minutes_to_the_second():
    clock = told().sees(50).after(10).sees(90, desired=2).after(10).sees(20)
    clock.after(289.5).sees(10).expects(None, Reason.FOREIGN_WRITE)
    clock.after(0.5).sees(10).expects(None, Reason.WORKERS_UNLISTED)


def test_workers_that_nobody_launches_are_on_their_way_too():
    """Five desired, three running, none pending: a service that cannot start them."""
    controller = told().controller
    observation = Observation(NOON, Demand(0.0, 10.0, NOON), Capacity(5, 0, 3))
    _, decision = controller.step(controller.initial(), observation)
    assert decision.reason is Reason.WORKERS_PENDING


def test_a_maximum_of_nothing_is_nothing():
    clock = told(desired=0, bounds=Bounds(0, 0)).sees(50).expects(None, Reason.AT_MAXIMUM)
    assert clock.decision.trail[-1].note == "maximum 0"
    told(desired=0, bounds=Bounds(0, 0), policy=Says(UNKNOWN)).sees(50).expects(
        None, Reason.INVALID_RECOMMENDATION
    )


@pytest.mark.parametrize(
    ("before", "desired", "after"),
    [
        (Ownership((9, 5), 1.0), 9, Ownership((9,), 1.0)),
        (Ownership((9, 5), 1.0, unconfirmed=True), 9, Ownership((9, 5), 1.0, unconfirmed=True)),
        (Ownership((9,), 1.0, unconfirmed=True), 9, Ownership((9,), 1.0, unconfirmed=True)),
        (
            Ownership((5, 9), 1.0, unconfirmed=True, foreign_at=(2.0,), confirmed=False),
            9,
            Ownership((9,), 1.0, foreign_at=(2.0,)),
        ),
        (Ownership((9, 5), 1.0), 5, Ownership((9, 5), 1.0)),
        (Ownership((9,), 1.0), 4, Ownership((4,), 1.0, foreign_at=(10.0,), confirmed=False)),
        (
            Ownership((4,), 1.0, foreign_at=(5.0,), confirmed=False),
            4,
            Ownership((4,), 1.0, foreign_at=(5.0,)),
        ),
    ],
    ids=[
        "seen at last",
        "still in doubt",
        "one size in doubt",
        "the doubtful write has arrived",
        "not yet seen",
        "foreign",
        "foreign, seen twice",
    ],
)
def test_what_a_size_says_of_who_set_it(before: Ownership, desired: int, after: Ownership):
    """Seen ten seconds after the start, and nine after the last write."""
    assert noticed(before, desired, 10.0) == after
