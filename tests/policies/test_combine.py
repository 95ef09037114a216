"""Policies made of policies: the highest of several, and a floor by the calendar."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter

from policies.combine import HighestOf, Hours, ScheduledFloor
from policies.history import History
from policies.model import Capacity, Demand, Observation, Reason, Recommendation, Unavailable
from policies.mwaa import Mwaa, MwaaMemory, ScaleIn

FIVE = Capacity(5, 0, 5)
BERLIN = ZoneInfo("Europe/Berlin")


def instant(text: str, fold: int = 0, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def holds(floor: ScheduledFloor, at: float) -> bool:
    history = History().append(Observation(at, Unavailable("down"), Capacity(1, 0, 1)))
    _, recommendation = floor.recommend(floor.initial(), history)
    assert recommendation.because is Reason.SCHEDULE
    assert recommendation in {
        Recommendation(floor.workers, Reason.SCHEDULE, floor.cron),
        Recommendation(0.0, Reason.SCHEDULE),
    }
    return recommendation.workers > 0


@pytest.mark.parametrize(
    ("local", "inside"),
    [
        ("2026-11-20T01:59:59.9", False),
        ("2026-11-20T02:00:00", True),
        ("2026-11-20T02:29:59", True),
        ("2026-11-20T02:30:00", False),
        ("2026-11-21T02:10:00", False),
    ],
)
def test_it_holds_from_each_start_for_its_time_in_its_zone(local: str, inside: bool):  # noqa: FBT001
    """Half-open: the start belongs to it, the end does not.  The 21st is a Saturday."""
    floor = ScheduledFloor("0 2 * * 1-5", 7, 1800, "Europe/Berlin")
    assert holds(floor, instant(local)) is inside


def test_the_same_hour_elsewhere_is_another_instant():
    """Nine in Berlin is eight in London and half past one in the afternoon in Calcutta."""
    at = instant("2026-11-20T09:05")
    for zone, cron in (("Europe/Berlin", "0 9"), ("Europe/London", "0 8"), ("Asia/Kolkata", "30 13")):
        assert holds(ScheduledFloor(f"{cron} * * *", 3, 600, zone), at)
        assert not holds(ScheduledFloor(f"{cron} * * *", 3, 600, "America/New_York"), at)


def test_nine_stays_nine_through_daylight_saving():
    floor = ScheduledFloor("0 9 * * *", 3, 60, "Europe/Berlin")
    for day in ("2026-03-28", "2026-03-29", "2026-10-24", "2026-10-25"):
        assert holds(floor, instant(f"{day}T09:00"))
        assert not holds(floor, instant(f"{day}T08:59:59"))
        assert not holds(floor, instant(f"{day}T10:00"))


def test_a_start_that_the_clock_skips_happens_as_it_has_jumped():
    """On 29 March 2026 half past two does not exist: from three it holds."""
    floor = ScheduledFloor("30 2 * * *", 3, 1800, "Europe/Berlin")
    assert not holds(floor, instant("2026-03-29T01:59:59"))
    assert holds(floor, instant("2026-03-29T03:00:00"))
    assert not holds(floor, instant("2026-03-29T03:30:00"))


def test_a_start_that_the_clock_repeats_happens_twice():
    """On 25 October 2026 half past two comes twice."""
    floor = ScheduledFloor("30 2 * * *", 3, 600, "Europe/Berlin")
    for fold in (0, 1):
        assert holds(floor, instant("2026-10-25T02:35", fold))
        assert not holds(floor, instant("2026-10-25T02:45", fold))


# When it is asked, the start that it knows then, and whether it knew it already.
LOOKS = (
    (7200.0, 7200.0, False),
    (7200.0, 7200.0, True),
    (7900.0, 7200.0, True),
    (10800.0, 10800.0, False),
    (7300.0, 7200.0, False),
)


def test_it_computes_the_calendar_once_a_start():
    """From a start to the next its memory knows both; a clock set back asks again."""
    floor, history = ScheduledFloor("0 * * * *", 3, 600), History()
    memory: Hours | None = None
    for at, started_at, known in LOOKS:
        history = history.append(Observation(at, Demand(0, 0, at), Capacity(1, 0, 1)))
        before = memory
        memory, recommendation = floor.recommend(memory, history)
        assert memory == Hours(started_at, started_at + 3600)
        assert (memory is before) is known
        assert recommendation.workers == (0.0 if at == 7900.0 else 3)


@dataclass(frozen=True, slots=True)
class Says:
    workers: float
    monotone: ClassVar[bool] = False
    memory_type: ClassVar[Any] = None
    window_seconds: ClassVar[float] = 7.0

    def initial(self) -> None:
        return None

    def recommend(self, memory: None, history: History) -> tuple[None, Recommendation]:
        return None, Recommendation(self.workers, Reason.DEMAND, f"says {self.workers}")


def highest(*workers: float, capacity: Any = FIVE) -> str:
    policy = HighestOf(tuple(map(Says, workers)))
    history = History().append(Observation(0.0, Demand(0, 0, 0.0), capacity))
    return policy.recommend(policy.initial(), history)[1].note


def test_the_largest_wish_wins_with_its_reason():
    assert highest(2.0, 9.0, 9.5, 1.0) == "says 9.5"


def test_every_part_has_its_own_memory():
    """The first remembers since when there was nothing to do, the second its hours."""
    policy, history = HighestOf((Mwaa(5), ScheduledFloor("0 * * * *", 3, 600))), History()
    memory = policy.initial()
    for at in (900.0, 1020.0):
        history = history.append(Observation(at, Demand(0, 0, at), FIVE))
        memory, recommendation = policy.recommend(memory, history)
    assert memory == (MwaaMemory(900.0), Hours(0.0, 3600.0))
    assert recommendation == Recommendation(0.0, Reason.IDLE)


def test_an_answer_that_is_no_size_blocks_only_the_way_in():
    """Whichever comes first: five run, so three must wait and nine may go."""
    for odd in (float("nan"), float("inf"), -1.0):
        assert highest(odd, 3.0) == highest(3.0, odd) == highest(5.0, odd) == f"says {odd}"
        assert highest(odd, 9.0) == highest(9.0, odd) == "says 9.0"
    assert highest(float("nan")) == "says nan"
    assert highest(float("nan"), 1.0, capacity=Unavailable("throttled")) == "says 1.0"


def test_it_is_what_its_parts_are():
    mwaa, floor = Mwaa(5, ScaleIn.CONTINUOUS), ScheduledFloor("0 * * * *", 3, 600)
    both = HighestOf((mwaa, floor, Says(1.0)))
    assert (both.monotone, both.window_seconds) == (False, 7.0)
    assert HighestOf((mwaa, floor)).monotone
    memory = (MwaaMemory(3.0), Hours(1.0, 2.0), None)
    adapter = TypeAdapter(both.memory_type)
    assert adapter.validate_json(adapter.dump_json(memory)) == memory
    assert both.initial() == (MwaaMemory(), None, None)
    with pytest.raises(ValueError, match=r"^policies must name at least one policy$"):
        HighestOf(())
    with pytest.raises(ValueError, match="shorter"):
        both.recommend((MwaaMemory(),), History().append(Observation(0.0, Demand(0, 0, 0.0), FIVE)))
