"""Who shall take tasks again: not before its protection is seen, and not later than need be."""

from dataclasses import replace

import numpy as np
import pytest

from autoscaler.core.listing import RENEW_SECONDS, Listing
from autoscaler.core.proposal import Context
from autoscaler.core.returning import deaf, returned, unseen
from autoscaler.core.state import Returning
from policies.model import Capacity, Demand, Evidence, Observation
from tests.core.clock import NOON, UNKNOWN, listing, told

NOBODY = frozenset()
SAFE = NOON + RENEW_SECONDS + 1


def look(consuming: list[float], protected_until: list[float] | None = None) -> Listing:
    workers = listing([0.0] * len(consuming), protected_until)
    workers = replace(workers, consuming=np.array(consuming))
    capacity, demand = Capacity(9, 0, 9, workers=workers), Demand(0.0, 1.0, NOON)
    observation = Observation(NOON, demand, capacity, Evidence(NOON, (), NOON))
    return Listing(workers, Context(NOON, observation, demand, capacity, 9, told().state), 60.0, 600.0)


def after(
    before: list[Returning],
    seen: Listing,
    *,
    by_us: str = "",
    victims: str = "",
    crowded: bool = False,
) -> list[Returning]:
    """Patience: 300 seconds."""
    found = returned(before, seen, frozenset(by_us), frozenset(victims), NOON, 300.0, crowded=crowded)
    return list(found)


def test_whoever_has_no_intake_and_is_no_victim_waits_for_a_protection():
    """Also one whose intake nobody knows, if it was stopped by us; in the order of the names."""
    seen = look([0.0, 1.0, 0.0, UNKNOWN, UNKNOWN])
    assert after([], seen, by_us="d", victims="c") == [
        Returning("a", NOON, NOON, waits=True),
        Returning("d", NOON, NOON, waits=True),
    ]


def test_a_protection_that_is_seen_ends_the_wait():
    assert after([Returning("a", NOON - 9, NOON - 9)], look([0.0], [SAFE])) == [
        Returning("a", NOON - 9, None, waits=False)
    ]
    assert after([], look([0.0], [SAFE - 1])) == [Returning("a", NOON, NOON, waits=True)]


def test_a_protection_that_is_lost_again_starts_the_wait_again():
    assert after([Returning("a", NOON - 900, None, waits=False)], look([0.0])) == [
        Returning("a", NOON - 900, NOON, waits=True)
    ]


@pytest.mark.parametrize(
    ("bare_for", "crowded", "waits"),
    [(299.5, False, True), (300.0, False, False), (900.0, True, True)],
)
def test_patience_ends_but_where_the_service_may_stop_somebody(
    bare_for: float,
    crowded: bool,  # noqa: FBT001
    waits: bool,  # noqa: FBT001
):
    before = Returning("a", NOON - bare_for, NOON - bare_for)
    assert after([before], look([0.0]), crowded=crowded) == [before._replace(waits=waits)]


def test_whoever_takes_tasks_or_has_gone_is_forgotten():
    before = [Returning("a", NOON - 9, NOON - 9), Returning("gone", NOON - 9, NOON - 9)]
    assert after(before, look([1.0]), by_us="gone") == []


def test_a_clock_that_is_set_back_prolongs_no_wait():
    before = Returning("a", NOON + 500, NOON + 500)
    assert after([before], look([0.0])) == [Returning("a", NOON, NOON, waits=True)]


def test_while_nobody_looks_the_wait_goes_on_and_ends():
    """Who is given up as a victim joins; who is protected stays as it is."""
    before = (
        Returning("a", NOON - 400, NOON - 300),
        Returning("b", NOON - 400, NOON - 299.5),
        Returning("c", NOON - 400, None, waits=False),
        Returning("d", NOON - 400, NOON - 400),
    )
    assert unseen(before, frozenset("zd"), NOON, 300.0) == (
        Returning("a", NOON - 400, NOON - 300, waits=False),
        Returning("b", NOON - 400, NOON - 299.5, waits=True),
        Returning("c", NOON - 400, None, waits=False),
        Returning("d", NOON, NOON),
        Returning("z", NOON, NOON),
    )
    assert unseen((), NOBODY, NOON, 300.0) == ()
    assert unseen((), frozenset("a"), NOON, 300.0) == (Returning("a", NOON, NOON),)


def test_who_waits_no_more_does_not_begin_again_while_nobody_looks():
    """It was told to take tasks without a protection."""
    before = (Returning("a", NOON - 10, NOON - 10, waits=False),)
    assert unseen(before, NOBODY, NOON, 300.0) == before


@pytest.mark.parametrize(("seconds", "names"), [(599.5, ""), (600.0, "a")])
def test_who_does_not_take_tasks_for_long_is_not_waited_for(seconds: float, names: str):
    told = Returning("a", NOON - seconds, NOON, waits=False)
    assert deaf([told], NOON, 600.0) == frozenset(names)


def test_who_is_told_to_take_nothing_is_not_deaf():
    """Its place is still taken: a quarter of the workers may be without tasks, and it is one of them."""
    assert deaf([Returning("a", NOON - 9999, NOON)], NOON, 600.0) == NOBODY
