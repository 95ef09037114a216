"""What a policy promises about looks to come: no more than it keeps, and no less than is known."""

import sys

import pytest

from policies.combine import HighestOf, ScheduledFloor
from policies.lull import INFINITY, Lull
from policies.model import Capacity, Demand, Observation
from policies.mwaa import Mwaa, MwaaMemory, ScaleIn

FLOOR = ScheduledFloor("5 * * * *", 3, 600)


def look(load: float, at: float = 1000.0) -> Observation:
    return Observation(at, Demand(0.0, load, at), Capacity(5, 0, 5))


def test_two_promises_hold_where_both_do():
    """From the higher start to the lower end, until the first is over; in either order."""
    one, other = Lull(1, 80, 500.0), Lull(33, 90, 400.0)
    assert one.both(other) == other.both(one) == Lull(33, 80, 400.0)
    assert one.both(Lull(0, 10)) == Lull(1, 10, 500.0)


def test_when_idle_promises_as_long_as_the_workers_suffice():
    """One task is work, and so is a full fleet; of more than that there is no telling."""
    for load in (1.0, 80.0):
        assert Mwaa(16).lull(MwaaMemory(), look(load)) == Lull(1, 80, INFINITY)
    assert Mwaa(16).lull(MwaaMemory(), look(81.0)) is None


@pytest.mark.parametrize(("idle_since", "idle"), [(None, False), (881.0, False), (880.0, True)])
def test_when_idle_promises_rest_once_it_has_been_idle(idle_since: float | None, idle: bool):  # noqa: FBT001
    """Two minutes of nothing, to the second."""
    lull = Mwaa(16).lull(MwaaMemory(idle_since), look(0.0))
    assert lull == (Lull(0, 0) if idle else None)


def test_continuous_promises_the_loads_that_need_as_many():
    policy = Mwaa(16, ScaleIn.CONTINUOUS)
    assert policy.lull(MwaaMemory(), look(33.0)) == policy.lull(MwaaMemory(), look(48.0)) == Lull(33, 48)
    assert policy.lull(MwaaMemory(), look(0.0)) == Lull(0, 0)


def test_the_floor_promises_for_any_load():
    """Until a second before it changes: it began at 300 and ends at 900."""
    assert FLOOR.lull(FLOOR.hours(400.0), look(7.0, 400.0)) == Lull(0, sys.maxsize, 899.0)


def test_the_highest_promises_what_all_parts_do():
    both = HighestOf((Mwaa(16), FLOOR))
    assert both.lull((MwaaMemory(), FLOOR.hours(400.0)), look(7.0, 400.0)) == Lull(1, 80, 899.0)
    assert both.lull((MwaaMemory(), FLOOR.hours(400.0)), look(0.0, 400.0)) is None


def test_the_highest_needs_a_memory_for_every_part():
    both = HighestOf((Mwaa(16), FLOOR))
    with pytest.raises(ValueError, match="shorter"):
        both.lull((MwaaMemory(),), look(7.0))
