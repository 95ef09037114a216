"""Lulls: looks that need not be taken, and that nobody can tell that they were not."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds, GuardChain, Stabilization, Tolerance
from autoscaler.core.lull import lull_after, rested
from autoscaler.core.state import Ownership, Wishes
from policies.catalog import build
from policies.history import History
from policies.lull import Lull
from policies.model import (
    NOBODY,
    Applied,
    Capacity,
    Demand,
    Evidence,
    Observation,
    Reason,
    Recommendation,
    Rollout,
    Unavailable,
)
from policies.mwaa import Mwaa, ScaleIn
from simulations.inputs import guard_chains, scripts
from simulations.laws import slots_of
from simulations.play import Look, Play
from simulations.puppet import Puppet

FLOOR = {"name": "scheduled-floor", "cron": "5 * * * *", "workers": 5, "duration_seconds": 600}
FOLLOWING = {"name": "mwaa", "scale_in": "continuous"}
POLICIES = [
    build(each, 16)
    for each in (
        {"name": "mwaa"},
        FOLLOWING,
        FLOOR,
        {"name": "highest", "policies": [FOLLOWING, FLOOR]},
        {"name": "highest", "policies": [{"name": "mwaa"}, FLOOR]},
    )
]
BOUNDS = GuardChain(Bounds(1, 20))
BY_DEMAND = Controller(POLICIES[0], BOUNDS, Watch(16, 20))


def without_history(state):
    return state._replace(history=None)


def takes_looks_of(lull, controller, state, loads, seconds):
    """Takes looks of the lull; each does nothing, and leaves what resting would have left."""
    last, begin = state.history.latest, state
    capacity = last.capacity
    for number, pause in zip(loads, seconds, strict=True):
        at = state.seen_at + pause
        if at >= lull.until:
            return
        load = lull.lowest + number % (min(lull.highest, 1000) - lull.lowest + 1)
        observation = Observation(at, Demand(0.0, float(load), at), capacity, Evidence(), None)
        state, decision = controller.step(state, observation)
        assert decision.desired is None
        assert not decision.wants_workers
        assert decision.protected | decision.released | decision.intake_stopped == NOBODY
        assert without_history(state) == without_history(rested(controller, begin, at))


@given(
    st.sampled_from(POLICIES),
    guard_chains,
    scripts,
    st.lists(st.integers(0, 1000), min_size=8, max_size=8),
    st.lists(st.sampled_from([5.0, 30.0, 200.0, 2000.0]), min_size=8, max_size=8),
)
@settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_no_look_of_a_lull_changes_anything(policy, guards, events, loads, seconds):
    """Whatever happened before, whatever the guards: a lull keeps its promise."""
    slots = slots_of(policy)
    play = Play(Controller(policy, guards, Watch(slots, guards.bounds.maximum)), Puppet(slots))
    play.puppet.resize(guards.bounds.minimum + 3, play.at - 600, 0.0)
    for event in events:
        match event:
            case Look():
                play.look(event)
                lull = lull_after(play.controller, play.state, play.decision)
                if lull is not None:
                    takes_looks_of(lull, play.controller, play.state, loads, seconds)
            case Bounds():
                play.reload(event)
            case int():
                play.foreign_write(event)
            case None:
                play.restart()


def after(*looks, policy=POLICIES[0], guards=BOUNDS, observing=False, **capacity):
    """The lull after looks of (seconds, running load) at five workers; more about the fleet by name."""
    controller = Controller(policy, guards, Watch(16, 20), observing=observing)
    state, fleet = controller.initial(), Capacity(5, 0, 5)
    for number, (at, load) in enumerate(looks):
        if number == len(looks) - 1:
            fleet = replace(fleet, **capacity)
        state, decision = controller.step(state, Observation(at, Demand(0.0, load, at), fleet))
    return lull_after(controller, state, decision)


def test_any_load_that_the_workers_suffice_for_is_a_lull_of_when_idle():
    assert after((0.0, 3.0)) == Lull(1, 80)
    assert after((0.0, 80.0)) == Lull(1, 80)


def test_loads_that_need_as_many_workers_are_a_lull_of_continuous():
    assert after((0.0, 70.0), policy=POLICIES[1]) == Lull(65, 80)
    assert after((0.0, 64.0), policy=POLICIES[1]) is None
    assert after((0.0, 81.0), policy=POLICIES[1]) is None


def test_an_idle_fleet_at_its_minimum_rests_once_the_wait_is_over():
    at_minimum = GuardChain(Bounds(5, 20))
    assert after((0.0, 0.0), guards=at_minimum) is None
    assert after((0.0, 0.0), (120.0, 0.0), guards=at_minimum) == Lull(0, 0)
    assert after((0.0, 0.0), (120.0, 0.0)) is None, "it wants in"
    assert after((0.0, 0.0), policy=POLICIES[1], guards=at_minimum) == Lull(0, 0)


def test_a_wish_below_the_minimum_is_no_lull_inside_a_tolerance():
    """Which loads count as within it is more than the rounded wish says."""
    tolerant = GuardChain(Bounds(5, 20), tolerance=Tolerance(0.5, 0.5))
    assert after((0.0, 40.0), policy=POLICIES[1], guards=tolerant) is None
    assert after((0.0, 40.0), policy=POLICIES[1], guards=GuardChain(Bounds(5, 20))) == Lull(33, 48)


@pytest.mark.parametrize(
    "odd",
    [
        {"pending": 1, "running": 4},
        {"rollout": Rollout.IN_PROGRESS},
        {"contested_by": "another"},
        {"desired": 6, "running": 6},  # a foreign write
    ],
    ids=str,
)
def test_whatever_moves_the_fleet_is_no_lull(odd):
    assert after((0.0, 40.0), (30.0, 40.0)) == Lull(1, 80)
    assert after((0.0, 40.0), (30.0, 40.0), **odd) is None


@pytest.mark.parametrize(
    "ownership",
    [
        Ownership((5,), unconfirmed=True),
        Ownership((5,), foreign_at=(0.0,)),
        Ownership((5,), confirmed=False),
        Ownership((5, 6)),
    ],
    ids=["in doubt", "foreign", "seen once", "two sizes"],
)
def test_a_size_that_may_not_be_ours_is_no_lull(ownership):
    state, decision = BY_DEMAND.step(BY_DEMAND.initial(), at(0.0))
    assert lull_after(BY_DEMAND, state, decision) == Lull(1, 80)
    assert lull_after(BY_DEMAND, state._replace(ownership=ownership), decision) is None


@pytest.mark.parametrize(
    "asks",
    [
        {"desired": 6},
        {"intake_stopped": frozenset("a")},
        {"protected": frozenset("a")},
        {"released": frozenset("a")},
        {"wants_workers": True},
    ],
    ids=str,
)
def test_a_decision_that_asks_for_anything_is_no_lull(asks):
    state, decision = BY_DEMAND.step(BY_DEMAND.initial(), at(0.0))
    assert lull_after(BY_DEMAND, state, replace(decision, **asks)) is None


def test_a_fleet_at_its_maximum_has_lulls():
    assert after((0.0, 80.0), guards=GuardChain(Bounds(1, 5))) == Lull(1, 80)


def test_who_only_observes_has_no_lulls():
    """Others size the fleet."""
    assert after((0.0, 40.0), observing=True) is None


def test_what_is_not_whole_or_not_known_is_no_lull():
    controller = Controller(POLICIES[0], BOUNDS, Watch(16, 20))
    fleet = Capacity(5, 0, 5)
    for observation in (
        Observation(0.0, Demand(0.0, 40.0, 0.0, whole=False), fleet),
        Observation(0.0, Demand(1.0, 40.0, 0.0), fleet),
        Observation(0.0, Unavailable("down"), fleet),
        Observation(0.0, Demand(0.0, 40.0, 0.0), Unavailable("down")),
        Observation(0.0, Demand(0.0, 40.0, 0.0), fleet, Evidence(), Applied(5)),
    ):
        assert lull_after(controller, *controller.step(controller.initial(), observation)) is None


def test_a_policy_need_not_promise():
    """One without lulls, and all that it is part of, sees every look."""

    class Silent:
        monotone: ClassVar[bool] = True
        window_seconds: ClassVar[float] = 0.0
        memory_type: ClassVar[None] = None

        def initial(self):
            return None

        def recommend(self, memory, history):
            return Mwaa(16, ScaleIn.CONTINUOUS).recommend(memory, history)

    assert after((0.0, 70.0), policy=Silent()) is None
    both = build({"name": "highest", "policies": [FOLLOWING, FLOOR]}, 16)
    assert after((0.0, 70.0), policy=both) is not None
    assert after((0.0, 70.0), policy=replace(both, policies=(*both.policies, Silent()))) is None


def test_what_is_no_size_is_held_and_no_lull():
    @dataclass(frozen=True)
    class Absurd(Mwaa):
        says: float = float("nan")

        def recommend(self, memory, history):
            return memory, Recommendation(self.says, Reason.DEMAND)

    assert after((0.0, 40.0), policy=Absurd(16)) is None
    assert after((0.0, 40.0), policy=Absurd(16, says=float("inf"))) is None


def test_a_lull_of_the_scheduled_floor_ends_before_the_floor_changes():
    policy = POLICIES[2]
    lull = policy.lull(policy.hours(299.0), at(299.0))
    assert lull.until == 299.0  # begins at 300
    assert policy.lull(policy.hours(300.0), at(300.0)).until == 899.0
    assert policy.lull(policy.hours(900.0), at(900.0)).until == 3899.0


def test_a_policy_that_saw_nothing_promises_nothing():
    assert Mwaa(16).lull(Mwaa(16).initial(), Observation(0.0, Unavailable("down"), Capacity(5, 0, 5))) is None


def at(instant):
    return Observation(instant, Demand(0.0, 1.0, instant), Capacity(5, 0, 5))


def test_a_rest_ends_with_the_wishes_of_its_last_look():
    """A window that the lull has filled with one wish holds that wish alone."""
    guards = GuardChain(Bounds(1, 20), stabilization=Stabilization(60.0, 300.0))
    controller = Controller(POLICIES[0], guards, Watch(16, 20))
    state, _ = controller.step(controller.initial(), at(0.0))
    state = rested(controller, state, 1000.0)
    assert state.lows.entries == state.highs.entries == ((1000.0, 5),)
    assert state.seen_at == 1000.0
    assert isinstance(state.history, History)
    risen = state._replace(lows=Wishes(((0.0, 3), (10.0, 5))), highs=Wishes(((0.0, 7), (10.0, 5))))
    for wishes in (rested(controller, risen, 500.0).lows, rested(controller, risen, 500.0).highs):
        assert wishes.entries == ((500.0, 5),)
    only_out = replace(controller, guards=replace(guards, stabilization=Stabilization(60.0, 0.0)))
    assert rested(only_out, state, 2000.0).highs is state.highs
    only_in = replace(controller, guards=replace(guards, stabilization=Stabilization(0.0, 60.0)))
    assert rested(only_in, state, 2000.0).lows is state.lows
