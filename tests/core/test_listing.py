"""The listed workers as a removal sees them: what is not known is the worse of two."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autoscaler.core.listing import RENEW_SECONDS, Listing
from autoscaler.core.proposal import Context
from policies.model import NEVER, Capacity, Demand, Evidence, Observation, Workers
from tests.core.clock import NOON, UNKNOWN, listing, told


def seen(workers: Workers, evidence: Evidence | None = None) -> Listing:
    """As of noon, with a minute for evidence and ten for a start."""
    capacity = Capacity(len(workers), 0, len(workers), workers=workers)
    demand = Demand(0.0, 1.0, NOON)
    observation = Observation(NOON, demand, capacity, evidence or Evidence(NOON, (), NOON))
    context = Context(NOON, observation, demand, capacity, capacity.desired, told().state)
    return Listing(workers, context, 60.0, 600.0)


@pytest.mark.parametrize(("age", "known"), [(0.0, True), (60.0, True), (60.5, False)])
def test_evidence_is_known_for_a_minute(age: float, known: bool):  # noqa: FBT001
    """And is as old as it is: what is none was never true."""
    busy = seen(listing([0.0]), Evidence(NOON - age, (), NOON))
    assert (busy.busy_known, busy.empty_at) == (known, NOON - age if known else NEVER)
    assert seen(listing([0.0]), Evidence(NOON, (), NOON - age)).intake_known is known


def test_a_busy_host_that_nobody_knows_may_be_any_of_them():
    doubtful = seen(listing([0.0]), Evidence(NOON, ("ip-10-0-0-9",), NOON))
    assert (doubtful.busy_known, doubtful.empty, doubtful.empty_at) == (False, frozenset(), NEVER)


@pytest.mark.parametrize(
    ("seconds", "name"),
    [(UNKNOWN, "neither"), (0.0, "bare"), (0.5, "within"), (10.0, "within"), (10.5, "neither")],
)
def test_when_a_protection_ends(seconds: float, name: str):
    """Now: it is bare.  Within ten seconds, the tenth included; an unknown one is neither."""
    one = seen(listing([0.0], [NOON + seconds]))
    assert (one.bare == {"a"}, one.protected_within(10.0) == {"a"}) == (name == "bare", name == "within")


def test_a_protection_is_safe_if_it_outlasts_any_removal():
    until = [NOON + RENEW_SECONDS, NOON + RENEW_SECONDS + 0.5, UNKNOWN]
    assert seen(listing([0.0] * 3, until)).safe == {"b"}


def test_slots_and_work_that_nobody_knows_are_without_end():
    columns: dict[str, Any] = {"work_left_seconds": np.array([30.0, UNKNOWN])}
    two = seen(replace(listing([2.0, UNKNOWN]), **columns))
    assert [two.busy_slots()(worker) for worker in "ab"] == [2.0, np.inf]
    assert [two.work_left()(worker) for worker in "ab"] == [30.0, np.inf]
    assert two.busy_beyond(29.0) == {"a"}
    assert two.busy_beyond(30.0) == frozenset()


def test_where_nobody_tells_it_work_has_no_known_end():
    one = seen(listing([2.0]))
    assert one.work_left()("a") == np.inf
    assert one.busy_beyond(0.0) == frozenset()
