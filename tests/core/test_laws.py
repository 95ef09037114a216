"""The laws, for every policy of the catalogue and every guard chain; and that they can be broken."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyFailure

from autoscaler.core.guards import Bounds, GuardChain, Rate, RateLimit, RateRule, RateSelect, RateUnit
from policies.catalog import BUILT_IN, PolicyError, build
from policies.history import History
from policies.lull import Lull
from policies.model import Demand, Reason, Recommendation
from simulations.fluid import Loop
from simulations.inputs import guard_chains, scripts
from simulations.invariants import LawBrokenError
from simulations.laws import LAWS, check_policy, plays
from simulations.play import Look, Play

FLOOR = {"name": "scheduled-floor", "cron": "0 9 * * *", "workers": 25, "duration_seconds": 600}
FOLLOWING = {"name": "mwaa", "scale_in": "continuous"}
CATALOGUE = [
    {"name": "mwaa"},
    {"name": "mwaa", "environment_class": "mw1.small"},
    FOLLOWING,
    FLOOR,
    {"name": "highest", "policies": [FOLLOWING, FLOOR]},
]


def test_every_policy_of_the_catalogue_is_tried():
    assert {specification["name"] for specification in CATALOGUE} == set(BUILT_IN)


@pytest.mark.parametrize("specification", CATALOGUE, ids=lambda each: "-".join(map(str, each.values()))[:40])
def test_every_policy_keeps_every_law(specification: dict[str, Any]):
    results = check_policy(specification, examples=15)
    assert [result.name for result in results] == list(LAWS)
    assert [result for result in results if not result.ok] == []


@given(
    st.sampled_from([build(specification, 16) for specification in CATALOGUE]),
    guard_chains,
    scripts,
)
@settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_every_guard_chain_keeps_every_invariant(policy, guards, events):
    plays(policy, guards, events)


RATE = Rate((RateRule(3, 60.0), RateRule(50, 30.0, RateUnit.PERCENT)))


@given(
    st.lists(st.tuples(st.sampled_from([10.0, 20.0, 60.0]), st.integers(0, 300)), min_size=6, max_size=30),
    st.sampled_from([RateSelect.MAX, RateSelect.MIN]),
)
@settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_no_move_is_faster_than_its_rate(steps, select):
    """A load that changes faster than the fleet may: every period holds."""
    guards = GuardChain(
        Bounds(0, 30), rate=RateLimit(replace(RATE, select=select), replace(RATE, select=select))
    )
    plays(build(FOLLOWING, 16), guards, [Look(seconds, queued=load) for seconds, load in steps])


def test_applying_a_decision_twice_changes_nothing():
    """It is absolute: the size, the protected, the released."""
    play = plays(build(FOLLOWING, 16), GuardChain(Bounds(1, 20)), [])
    for load in (200, 40, 40, 40):
        play.look(Look(60.0, running=load))
        before = (dict(play.puppet.protected_until), list(play.puppet.started_at), play.puppet.desired)
        play.puppet.apply(play.decision, play.at)
        after = (dict(play.puppet.protected_until), list(play.puppet.started_at), play.puppet.desired)
        assert before == after


def test_the_whole_way_out_and_back_loses_no_work():
    """A burst, its end, and every worker that leaves was idle."""
    play: Play = plays(build(FOLLOWING, 16), GuardChain(Bounds(1, 20)), [])
    for load in [300] * 10 + [100] * 10 + [0] * 20:
        play.look(Look(30.0, running=load))
    assert play.puppet.desired == 1
    assert play.puppet.lost_busy == []
    play.replays()


def test_continuous_comes_back_into_the_band_and_when_idle_stays():
    loop = Loop(100.0, 16, 180.0, 180.0, 30)
    assert loop.sizes(build(FOLLOWING, 16))[-1] == loop.needed == 7
    assert loop.sizes(build({"name": "mwaa"}, 16))[-1] == 30


def _size(observation: Any) -> float:
    return float(getattr(observation.capacity, "desired", 0))


@dataclass(frozen=True, slots=True)
class Breaks:
    """The formula, with one law broken."""

    law: str = ""
    monotone: ClassVar[bool] = True
    memory_type: ClassVar[Any] = float | None
    window_seconds: ClassVar[float] = 0.0
    asked: list[int] = field(default_factory=lambda: [0], init=False)

    def initial(self) -> Any:
        return [0.0] if self.law == "frozen" else 0.0

    def recommend(self, memory: Any, history: History) -> tuple[Any, Recommendation]:
        observation = history.latest
        if not isinstance(observation.demand, Demand):
            return memory, Recommendation(_size(observation), Reason.NO_OPINION)
        self.asked[0] += 1
        return self._remembered(memory), Recommendation(self._wish(observation, history), Reason.DEMAND)

    def _remembered(self, memory: Any) -> Any:
        return "text" if self.law == "json" else memory

    def _wish(self, observation: Any, history: History) -> float:
        load, desired = observation.demand.load, _size(observation)
        odd_ones = {
            "pure": load / 16 + self.asked[0] % 2,
            "finite": float("nan") if load > 100 else load / 16,
            "monotone": 1.0 if load > 50 else load / 16,
            "settles": load / 16 + 3 * (len(history) % 2),
            "winds up": desired + observation.demand.queued / 16,
            "greedy": desired + (load > 0),
            "too few": load / 32,
        }
        if self.law == "raises":
            raise ZeroDivisionError("no")
        return odd_ones.get(self.law, load / 16)

    def lull(self, memory: Any, observation: Any) -> Lull | None:
        return Lull(0, 1000) if self.law == "promises" else None


@pytest.mark.parametrize(
    ("law", "broken"),
    [
        ("pure", "asked twice, the same answer"),
        ("frozen", "answers are frozen values"),
        ("finite", "every load has a finite size"),
        ("monotone", "more demand never lowers the wish"),
        ("settles", "a constant load settles"),
        ("json", "memory survives JSON"),
        ("promises", "nothing changes in a lull that it promises"),
        ("winds up", "the closed loop converges from too few workers"),
        ("too few", "the closed loop converges from too few workers"),
        ("greedy", "the closed loop converges from too many workers"),
    ],
)
def test_a_policy_that_breaks_a_law_is_found(law: str, broken: str):
    """Each law sees red for the policy made to break it."""
    with pytest.raises((LawBrokenError, FlakyFailure)):
        LAWS[broken](build({"name": "tests.core.test_laws:Breaks", "law": law}), 40)


def test_a_policy_that_raises_is_a_verdict_and_no_crash():
    results = check_policy({"name": "tests.core.test_laws:Breaks", "law": "raises"}, examples=5)
    assert not any(result.ok for result in results)
    assert results[-1].detail == "ZeroDivisionError: no"


def test_a_broken_law_is_told_with_its_numbers():
    results = check_policy({"name": "tests.core.test_laws:Breaks", "law": "settles"}, examples=5)
    (broken,) = (result for result in results if result.name == "a constant load settles")
    assert "it still wishes [0, 3] workers" in broken.detail


def test_a_policy_that_breaks_none_passes():
    """The same class keeps every law when told to break none: the reds above are the laws' own."""
    results = check_policy({"name": "tests.core.test_laws:Breaks"}, examples=15)
    assert [result for result in results if not result.ok] == []


def test_a_policy_that_does_not_exist_is_an_error():
    with pytest.raises(PolicyError, match="there is no policy 'x'"):
        check_policy({"name": "x"})
