"""Stories of demand, of readings that fail, and of the first minutes."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from autoscaler.core.alarms import Watch
from autoscaler.core.guards import (
    Bounds,
    Stabilization,
    WarmUp,
)
from policies.combine import HighestOf, ScheduledFloor
from policies.model import (
    Capacity,
    Demand,
    Observation,
    Reason,
    Recommendation,
)
from policies.mwaa import Mwaa
from tests.core.clock import NOON, UNKNOWN, listing, told

IDLE5 = listing([0.0] * 5)


def test_out_follows_demand_at_once():
    told().sees(queued=82, running=50).expects(14, Reason.DEMAND)


def test_enough_workers_are_left_alone():
    told().sees(50).expects(None, Reason.DEMAND)


def test_idle_fleet_goes_to_the_minimum_after_two_minutes_of_nothing():
    """MWAA's own rule: zero for two minutes, then straight down."""
    clock = told(policy=Mwaa(10))
    clock.sees(0).expects(None, Reason.WAITING_FOR_IDLE)
    clock.after(minutes=1).sees(10).expects(None, Reason.WAITING_FOR_IDLE)
    clock.after(minutes=1).sees(0).expects(None, Reason.WAITING_FOR_IDLE)
    clock.after(seconds=119).sees(0).expects(None, Reason.WAITING_FOR_IDLE)
    clock.after(seconds=1).sees(0).expects(None, Reason.WORKERS_UNLISTED)
    clock.after(seconds=10).sees(0, workers=IDLE5).expects(1, Reason.AT_MINIMUM)


def test_calendar_raises_the_floor_without_data():
    """A forecast only adds, and missing data does not block the way out."""
    floor = ScheduledFloor("0 8 * * *", 12, 3600)
    clock = told(policy=HighestOf((Mwaa(10), floor)))
    clock.sees(unreadable="down").expects(12, Reason.NO_DATA)
    assert clock.because() == [Reason.SCHEDULE, Reason.NO_DATA]


def test_no_data_holds_and_says_what_failed():
    clock = told()
    clock.sees(unreadable="connection refused").expects(None, Reason.NO_DATA)
    assert clock.decision.trail[-1].note == "connection refused"


@pytest.mark.parametrize(
    "reading",
    [
        {"queued": UNKNOWN},
        {"running": UNKNOWN},
        {"queued": -1.0},
        {"running": float("inf")},
        {"demand": {"oldest_wait_seconds": UNKNOWN}},
        {"demand": {"scheduled": -5.0}},
        {"age": 121.0},
        {"age": -121.0},
        {"age": UNKNOWN},
    ],
)
def test_an_impossible_or_stale_reading_is_no_data(reading: dict[str, Any]):
    told().sees(**reading).expects(None, Reason.NO_DATA)


def test_part_of_the_load_says_nothing_about_a_fall():
    """A scheduler's packets are missing: a rise is true all the same."""
    clock = told()
    clock.sees(3, demand={"whole": False}).expects(None, Reason.PARTIAL_DATA)
    clock.after(10).sees(70, demand={"whole": False}).expects(7, Reason.DEMAND)


def test_when_idle_counts_no_partial_zero():
    clock = told(policy=Mwaa(10, idle_seconds=0.0))
    clock.sees(0, demand={"whole": False}).expects(None, Reason.WAITING_FOR_IDLE)
    clock.after(10).sees(0).expects(None, Reason.WORKERS_UNLISTED)


def test_an_unknown_fleet_is_not_touched():
    clock = told()
    clock.sees(200, fleet_unknown="throttled").expects(None, Reason.CAPACITY_UNKNOWN)
    clock.after(10).sees(200).expects(20, Reason.DEMAND)


@pytest.mark.parametrize("counts", [(-1, 0, 0), (0, -1, 0), (0, 0, -1)])
def test_negative_counts_are_an_unknown_fleet(counts: tuple[int, int, int]):
    controller = told().controller
    observation = Observation(NOON, Demand(500, 0, NOON), Capacity(*counts))
    _, decision = controller.step(controller.initial(), observation)
    assert (decision.desired, decision.reason) == (None, Reason.CAPACITY_UNKNOWN)


def test_a_restart_never_shrinks_until_warm():
    """Out is free meanwhile, and the time counts from the first reading, not from the start."""
    clock = told(warm_up=WarmUp(120.0))
    clock.sees(unreadable="starting").expects(None)
    clock.after(minutes=5).sees(10).expects(None, Reason.WARMING_UP)
    clock.after(seconds=60).sees(90).expects(9, Reason.DEMAND)
    clock.after(seconds=59).sees(10).expects(None, Reason.WARMING_UP)
    clock.after(seconds=1).sees(10).expects(None, Reason.WORKERS_UNLISTED)


def test_a_lowered_maximum_does_not_wait_for_warm_up():
    """The operator means it; the drain still looks who is busy."""
    clock = told(warm_up=WarmUp(120.0), bounds=Bounds(0, 3))
    clock.sees(30).expects(None, Reason.WORKERS_UNLISTED)
    busy = listing([10.0, 10.0, 10.0, 0.0, 0.0], [NOON + 3600] * 3 + [0.0] * 2)
    clock.after(10).sees(30, workers=busy).expects(3, Reason.AT_MAXIMUM)


def test_a_hold_without_data_beats_a_lowered_maximum():
    clock = told()
    clock.sees(50)
    clock.reloads(bounds=Bounds(1, 3))
    clock.after(10).sees(unreadable="down").expects(None, Reason.AT_MAXIMUM)
    assert "held" in clock.decision.trail[-1].note
    clock.after(10).sees(50, demand={"whole": False}).expects(None, Reason.AT_MAXIMUM)
    clock.after(10).sees(90, demand={"whole": False}).expects(None, Reason.AT_MAXIMUM)


@dataclass(frozen=True, slots=True)
class Says:
    """A policy that always says the same."""

    workers: float
    monotone: ClassVar[bool] = True
    memory_type: ClassVar[Any] = None
    window_seconds: ClassVar[float] = 0.0

    def initial(self) -> None:
        return None

    def recommend(self, memory: None, history: Any) -> tuple[None, Recommendation]:
        return None, Recommendation(self.workers, Reason.DEMAND, "so it says")


@pytest.mark.parametrize("workers", [UNKNOWN, float("inf"), float("-inf"), -0.1])
def test_an_opinion_that_is_no_size_holds(workers: float):
    clock = told(policy=Says(workers), stabilization=Stabilization(60.0, 60.0))
    clock.sees(10).expects(None, Reason.INVALID_RECOMMENDATION)
    clock.reloads(bounds=Bounds(7, 9))
    clock.after(10).sees(10).expects(7, Reason.AT_MINIMUM)


@pytest.mark.parametrize(("workers", "desired"), [(3.0000000001, 3), (3.001, 4), (2.9999999999, 3)])
def test_the_last_bits_of_a_float_order_no_worker(workers: float, desired: int):
    told(policy=Says(workers), desired=1).sees(10).expects(desired)


def test_deaf_workers_are_noticed():
    """Queued beside free slots for five minutes."""
    clock = told()
    clock.sees(queued=3, running=2)
    assert clock.alarms() == {}
    clock.after(minutes=4).sees(unreadable="down")
    clock.after(minutes=1).sees(queued=3, running=2)
    assert "5 min" in clock.alarms()["deaf_workers"]
    clock.after(10).sees(queued=50, running=50)
    assert "deaf_workers" not in clock.alarms()


def test_what_airflow_itself_limits_is_noticed():
    clock = told(watch=Watch(10, 20, parallelism=32))
    clock.sees(5, demand={"schedulers": 2, "phantoms": 3})
    assert clock.alarms()["parallelism_too_low"].startswith(
        "Airflow may run 64 tasks at once, the workers 200"
    )
    assert clock.alarms()["phantom_tasks"].startswith("3 tasks")
    clock.after(10).sees(5, demand={"schedulers": 7})
    assert clock.alarms() == {}


def test_what_a_decision_says_of_itself():
    clock = told()
    clock.sees(999)
    assert (clock.decision.recommended, clock.decision.workers) == (99.9, 20)
