"""Hypothesis strategies: what a controller and a policy may be shown.  Needs the `simulate` extra."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from autoscaler.core.budget import Budget
from autoscaler.core.guards import (
    Bounds,
    Cooldown,
    GuardChain,
    Rate,
    RateLimit,
    RateRule,
    RateSelect,
    RateUnit,
    Stabilization,
    Tolerance,
    WarmUp,
)
from policies.model import Capacity, Demand, Observation, Unavailable
from policies.orders import Orders, Override, Pause, Way
from simulations.play import EPOCH, Look
from simulations.puppet import Outcome

SECONDS = st.sampled_from([1.0, 10.0, 30.0, 60.0, 150.0, 400.0])
LOADS = st.one_of(st.integers(0, 60), st.integers(0, 400), st.sampled_from([0, 0, 0, 16, 160]))
ODD_NUMBERS = st.sampled_from([float("nan"), float("inf"), float("-inf"), -1.0])

_ends = st.sampled_from([EPOCH, EPOCH + 300.0, EPOCH + 2000.0, float("inf")])
_bound = st.none() | st.integers(0, 30)
_pauses = st.builds(Pause, st.sampled_from(Way), _ends, st.just(EPOCH), st.just("anna"), st.just("a test"))
_overrides = st.builds(Override, _bound, _bound, _ends, st.just(EPOCH))
orders = st.builds(Orders, st.none() | _pauses, st.none() | _overrides)
"""Whatever an operator may order, expired orders and bounds that cross included."""
_seldom = st.sampled_from([False, False, False, True]).flatmap(lambda some: orders if some else st.none())

looks = st.builds(
    Look,
    seconds=SECONDS,
    queued=LOADS | ODD_NUMBERS,
    running=LOADS,
    age_seconds=st.sampled_from([0.0, 0.0, 0.0, 90.0, 500.0, float("nan")]),
    whole=st.sampled_from([True, True, True, False]),
    read=st.sampled_from([True, True, True, False]),
    fleet_known=st.sampled_from([True] * 9 + [False]),
    witnessed=st.sampled_from([True, True, True, False]),
    stranger=st.sampled_from([False] * 9 + [True]),
    outcome=st.sampled_from([*Outcome, *[Outcome.APPLIED] * 5]),
    orders=_seldom,
)
"""Mostly well, often not."""


@st.composite
def bounds(draw: st.DrawFn) -> Bounds:
    """Any bounds, none included."""
    minimum = draw(st.integers(0, 8))
    return Bounds(minimum, draw(st.integers(minimum, 30)))


_windows = st.sampled_from([0.0, 45.0, 120.0, 300.0])
_shares = st.sampled_from([0.0, 0.1, 0.5])
_rules = st.builds(
    RateRule, st.integers(1, 150).map(float), st.sampled_from([15.0, 60.0, 300.0]), st.sampled_from(RateUnit)
)
_rates = st.builds(Rate, st.lists(_rules, max_size=2).map(tuple), st.sampled_from(RateSelect))

guard_chains = st.builds(
    GuardChain,
    bounds(),
    st.builds(WarmUp, _windows),
    st.none() | st.builds(Tolerance, _shares, _shares),
    st.none() | st.builds(Stabilization, _windows, _windows),
    st.none() | st.builds(Cooldown, _windows, _windows),
    st.none() | st.builds(RateLimit, _rates, _rates),
    st.none()
    | st.builds(Budget, st.sampled_from([25.0, 120.0]), st.sampled_from([0.1, 2.0]), st.integers(0, 1)),
)
"""Every guard, in every combination."""


@st.composite
def demands(draw: st.DrawFn, at: float) -> Demand | Unavailable:
    """What the controller lets a policy see: a credible reading, or none."""
    if draw(st.sampled_from([False, False, False, True])):
        return Unavailable("unreadable")
    age = draw(st.sampled_from([0.0, 5.0, 90.0]))
    whole = draw(st.sampled_from([True, True, True, False]))
    return Demand(float(draw(LOADS)), float(draw(LOADS)), at - age, whole=whole)


@st.composite
def episodes(draw: st.DrawFn) -> Sequence[Observation]:
    """A few observations in a row, as a policy gets them."""
    at, seen = EPOCH, []
    for seconds in draw(st.lists(SECONDS, min_size=1, max_size=12)):
        at += seconds
        desired = draw(st.integers(0, 40))
        running = draw(st.integers(0, desired))
        seen.append(Observation(at, draw(demands(at)), Capacity(desired, desired - running, running)))
    return seen


calm_looks = st.builds(
    Look,
    seconds=st.sampled_from([10.0, 60.0, 150.0]),
    queued=st.sampled_from([0, 0, 0, 40, 300]),
    running=st.sampled_from([0, 0, 1, 20, 40, 200]),
    outcome=st.sampled_from([*Outcome, *[Outcome.APPLIED] * 9]),
    orders=_seldom,
)
"""Everything is read; only thus does anything ever leave."""
_spells = st.tuples(calm_looks | calm_looks | looks, st.integers(1, 8)).map(
    lambda spell: [spell[0]] * spell[1]
)
_accidents = st.one_of(st.integers(0, 40), bounds(), st.none()).map(lambda accident: [accident])

scripts = st.lists(st.one_of(_spells, _spells, _spells, _accidents), min_size=3, max_size=12).map(
    lambda spells: [event for spell in spells for event in spell]
)
"""What happens to a target: looks, foreign writes (a size), reloads (bounds), restarts (None)."""
