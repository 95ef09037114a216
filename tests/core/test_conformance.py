"""The rules of Kubernetes' HPA, case by case, where ours are meant to be the same.

The cases are read from beside the repository and skipped with a word where they are absent; the
stories of this directory prove the same rules without them.
"""

import json
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from autoscaler.core.drain import Drain
from autoscaler.core.guards import (
    Bounds,
    Rate,
    RateLimit,
    RateRule,
    RateSelect,
    RateUnit,
    Stabilization,
    Tolerance,
    rounded,
)
from autoscaler.core.proposal import Context, Proposal
from autoscaler.core.remember import after_decision
from autoscaler.core.state import Move, State, Wishes
from policies.history import History
from policies.model import Capacity, Demand, Observation, Reason, Stage

CASES = Path(__file__).resolve().parents[2].parent / "shared" / "conformance"
NOW = 10_000.0
NOTHING_LEAVES = Drain(Proposal(0, 0, ()), frozenset())
UNITS = {"Pods": RateUnit.COUNT, "Percent": RateUnit.PERCENT}
REASONS = {
    "DesiredWithinRange": {Reason.DEMAND},
    "TooManyReplicas": {Reason.AT_MAXIMUM},
    "TooFewReplicas": {Reason.AT_MINIMUM},
    "ScaleUpLimit": {Reason.RATE_LIMITED},
    "ScaleDownLimit": {Reason.RATE_LIMITED},
}


def cases(name: str, *parts: str) -> list[Any]:
    path = CASES / f"{name}.json"
    if not path.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"{path} is not there"))]
    found = json.loads(path.read_text())["cases"]
    return [pytest.param(case, id=case["id"]) for case in found if not parts or case["part"] in parts]


def rate(rules: dict[str, Any] | None) -> Rate:
    if not rules:
        return Rate()
    made = tuple(RateRule(each["value"], each["period_s"], UNITS[each["type"]]) for each in rules["policies"])
    return Rate(made, RateSelect(rules["select"].lower()))


def proposed(workers: float) -> Proposal:
    return Proposal(workers, 0, (Stage("policy", workers, Reason.DEMAND),))


def context(state: State, current: int) -> Context:
    demand, capacity = Demand(0, 0, NOW), Capacity(current, 0, current)
    return Context(NOW, Observation(NOW, demand, capacity), demand, capacity, current, state)


def moves(given: dict[str, Any]) -> tuple[Move, ...]:
    """The event log as moves that end at the current size."""
    events = [(each["age_s"], each["change"]) for each in given["up_events"]]
    events += [(each["age_s"], -each["change"]) for each in given["down_events"]]
    size, made = given["current"], []
    for age, change in sorted(events):
        made.append(Move(NOW - age, size - change, size))
        size -= change
    return tuple(reversed(made))


@pytest.mark.parametrize("case", cases("hpa_behavior", "rate_limit"))
def test_rates_and_bounds(case: dict[str, Any]):
    config, given, expected = case["config"], case["input"], case["expect"]
    state = State(None, History(), moves=moves(given))
    seen = context(state, given["current"])
    chain = (
        RateLimit(rate(config.get("up")), rate(config.get("down"))),
        Bounds(config["min"], config["max"]),
    )
    proposal = proposed(given["desired"])
    for guard in chain:
        proposal = guard(proposal, seen)
    assert proposal.workers == expected["replicas"]
    assert proposal.trail[-1].reason in REASONS[expected["reason"]]


@pytest.mark.parametrize("case", cases("hpa_behavior", "up_limit", "down_limit"))
def test_limits_of_a_period(case: dict[str, Any]):
    given = case["input"]
    sign = 1 if case["part"] == "up_limit" else -1
    state = State(None, History(), moves=moves(given))
    limit = rate(case["config"]["rules"]).limit(context(state, given["current"]), sign)
    assert limit == case["expect"]["limit"]


def wishes(log: list[dict[str, Any]], stabilization: Stabilization) -> State:
    """The state after the wishes of a log, oldest first."""
    state = State(None, History())
    for entry in sorted(log, key=lambda each: -each["age_s"]):
        at = NOW - entry["age_s"]
        state = after_decision(state, entry["replicas"], at, stabilization, NOTHING_LEAVES, informed=True)
    return state


@pytest.mark.parametrize("case", cases("hpa_behavior", "stabilize_down_only", "stabilize_both"))
def test_stabilisation(case: dict[str, Any]):
    config, given = case["config"], case["input"]
    stabilization = Stabilization(
        config.get("up_window_s", 0.0), config.get("down_window_s", config.get("window_s"))
    )
    current = given.get("current", 1_000)
    seen = context(wishes(given["log"], stabilization), current)
    proposal = stabilization(proposed(given["desired"]), seen)
    assert proposal.workers == case["expect"]["replicas"]


def ratio_cases() -> list[Any]:
    """One total against a per-worker target: the replica calculator's kinds that speak of ratios."""
    wanted = {"object_per_pod", "external_per_pod"}
    found = cases("hpa_replica_calculator")
    return [each for each in found if each.values[0] is None or each.values[0]["config"]["kind"] in wanted]


@pytest.mark.parametrize("case", ratio_cases())
def test_ratio_and_tolerance(case: dict[str, Any]):
    config, given, expected = case["config"], case["input"], case["expect"]
    if "replicas" not in expected:
        pytest.skip("the case is about an error of its metric, which is no concern of a guard")
    total = sum(metric["value"] for metric in given["metrics"])
    tolerance = Tolerance(config["tolerance_up"], config["tolerance_down"])
    current = given["current_replicas"]
    proposal = tolerance(proposed(total / config["target"]), context(State(None, History()), current))
    assert rounded(proposal.workers) == expected["replicas"]
    assert rounded(total / config["target"]) == ceil(total / config["target"])


def test_an_event_counts_while_younger_than_its_period():
    """Strictly: at sixty seconds a minute is over."""
    rule = Rate((RateRule(4, 60.0),))
    for age, limit in ((59.9, 10), (60.0, 14)):
        state = State(None, History(), moves=(Move(NOW - age, 6, 10),))
        assert rule.limit(context(state, 10), 1) == limit


def test_a_wish_counts_while_younger_than_its_window():
    for age, extreme in ((59.9, 7), (60.0, None)):
        assert Wishes(((NOW - age, 7),)).extreme(NOW, 60.0) == extreme
