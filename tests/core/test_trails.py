"""What a decision says of itself, word for word: the text that `explain`, the log and the page show."""

from collections.abc import Callable

import pytest

from autoscaler.core.budget import Budget
from autoscaler.core.guards import (
    Bounds,
    Cooldown,
    Rate,
    RateLimit,
    RateRule,
    Stabilization,
    Tolerance,
    WarmUp,
)
from policies.model import Evidence, Rollout, Unknown
from policies.orders import Override, Pause, Way
from tests.core.clock import NOON, UNKNOWN, Clock, listing, told
from tests.core.test_data import Says

FOREVER = float("inf")
IDLE5 = listing([0.0] * 5)
FOUR_A_MINUTE = RateLimit(outward=Rate((RateRule(4, 60.0),)))
TWO_A_MINUTE_IN = RateLimit(inward=Rate((RateRule(2, 60.0),)))


def thrice_resized() -> Clock:
    clock = told().sees(50)
    for desired in (6, 7, 8):
        clock.after(60).sees(50, desired=desired)
    return clock.after(60).sees(150)


STORIES: dict[str, tuple[Callable[[], Clock], list[str]]] = {
    "no reading": (
        lambda: told().sees(unreadable="connection refused"),
        ["no_data 5 no_data: connection refused"],
    ),
    "part of a reading": (
        lambda: told().sees(10, demand={"whole": False}),
        ["no_data 5 partial_data: part of the load may be missing"],
    ),
    "no load": (
        lambda: told().sees(queued=-1.0),
        ["no_data 5 no_data: not a load: -1.0 queued, 0.0 running"],
    ),
    "no wait": (
        lambda: told().sees(1, demand={"oldest_wait_seconds": UNKNOWN, "scheduled": 2.0}),
        ["no_data 5 no_data: not a load: oldest wait nan s, 2.0 scheduled"],
    ),
    "an old reading": (
        lambda: told().sees(50, age=121.0),
        ["no_data 5 no_data: measured 121 s ago"],
    ),
    "an unknown fleet": (
        lambda: told().sees(50).after(10).sees(50, fleet_unknown="throttled"),
        ["capacity 5 capacity_unknown: throttled"],
    ),
    "a fleet never seen": (
        lambda: told().sees(50, fleet_unknown="throttled"),
        ["capacity 0 capacity_unknown: throttled"],
    ),
    "an impossible fleet": (
        lambda: told().sees(50, desired=-1),
        ["capacity 0 capacity_unknown: negative counts: desired -1, running -1"],
    ),
    "no size": (
        lambda: told(policy=Says(UNKNOWN)).sees(10),
        ["policy 5 invalid_recommendation: the policy said nan"],
    ),
    "tolerance": (
        lambda: told(desired=10, tolerance=Tolerance(0.1, 0.1)).sees(109),
        ["tolerance 10 within_tolerance: ratio 1.090"],
    ),
    "warm-up": (
        lambda: told(warm_up=WarmUp(120.0)).sees(50).after(30).sees(10),
        ["warm_up 5 warming_up: 90 s to go"],
    ),
    "a stable way in": (
        lambda: told(stabilization=Stabilization(in_seconds=300.0)).sees(20),
        ["stabilization 5 stabilizing: highest wish of 300 s"],
    ),
    "a stable way out": (
        lambda: told(stabilization=Stabilization(out_seconds=90.0)).sees(90),
        ["stabilization 5 stabilizing: lowest wish of 90 s"],
    ),
    "a cooldown": (
        lambda: told(cooldown=Cooldown(60.0)).sees(60).after(20).sees(70),
        ["cooldown 6 cooling_down: 40 s to go"],
    ),
    "a cooldown beside a budget": (
        lambda: told(cooldown=Cooldown(60.0), budget=Budget(2400, 80)).sees(60).after(20).sees(70),
        ["cooldown 6 cooling_down: 40 s to go"],
    ),
    "a rate out": (lambda: told(rate=FOUR_A_MINUTE).sees(200), ["rate 9 rate_limited: "]),
    "a rate in": (lambda: told(rate=TWO_A_MINUTE_IN).sees(10, workers=IDLE5), ["rate 3 rate_limited: "]),
    "the maximum": (lambda: told().sees(999), ["bounds 20 at_maximum: maximum 20"]),
    "held above the maximum": (
        lambda: told(bounds=Bounds(1, 3)).sees(unreadable="down"),
        ["no_data 5 no_data: down", "bounds 5 at_maximum: maximum 3, held"],
    ),
    "the minimum": (lambda: told(desired=0).sees(0), ["bounds 1 at_minimum: minimum 1"]),
    "somebody else's size": (
        lambda: told().sees(50).after(10).sees(90, desired=2),
        ["ownership 2 foreign_write: somebody else set 2; waiting for a second reading"],
    ),
    "quiet after it": (
        lambda: told().sees(50).after(10).sees(90, desired=2).after(10).sees(10),
        ["ownership 2 foreign_write: somebody else set the size; 290 s of quiet to go"],
    ),
    "three of them": (
        thrice_resized,
        ["ownership 8 foreign_write: observing only: others set the size three times within an hour"],
    ),
    "another autoscaler": (
        lambda: told().sees(10, capacity={"contested_by": "Application Auto Scaling"}),
        ["ownership 5 contested: observing only: Application Auto Scaling sets this size too"],
    ),
    "a write in doubt": (
        lambda: told(acts=False).sees(90).after(10).wrote(Unknown(9, "timeout")).sees(10),
        ["ownership 5 write_unconfirmed: the last write got no answer and may be applied late"],
    ),
    "a deployment": (
        lambda: told().sees(10, capacity={"rollout": Rollout.IN_PROGRESS}),
        ["rollout 5 deploying: a deployment is in progress"],
    ),
    "a failed deployment": (
        lambda: told().sees(90, capacity={"rollout": Rollout.FAILED}),
        ["ownership 5 deployment_failed: a failed deployment starts no workers"],
    ),
    "workers on their way": (
        lambda: told().sees(10, pending=2),
        ["drain 5 workers_pending: workers are on their way"],
    ),
    "workers not listed": (
        lambda: told().sees(10),
        ["drain 5 workers_unlisted: who is busy is read next"],
    ),
    "nobody knows who is busy": (
        lambda: told().sees(10, workers=IDLE5, evidence=Evidence()),
        ["drain 5 busy_unknown: who is busy is not known"],
    ),
    "busy elsewhere": (
        lambda: told().sees(10, workers=IDLE5, evidence=Evidence(NOON, ("ip-10-0-0-9", "z"))),
        ["drain 5 busy_unplaced: busy, but no worker of ours: ip-10-0-0-9"],
    ),
    "to protect": (
        lambda: told().sees(10, workers=listing([5.0, 5.0, 0.0, 0.0, 0.0])),
        ["drain 5 protecting: 2 busy workers to protect first"],
    ),
    "a pause by nobody for no reason": (
        lambda: told().ordered(Pause(Way.BOTH, FOREVER, NOON)).sees(120),
        ["pause 5 paused: until it is resumed"],
    ),
    "a pause of a size that is right": (
        lambda: told().ordered(Pause(Way.BOTH, NOON + 60, NOON, "anna")).sees(50),
        ["pause 5 paused: for 60 s more, ordered by anna"],
    ),
    "an override": (
        lambda: told().ordered(Override(8, None, NOON + 60, NOON, why="night batch")).sees(50),
        ["override 8 overridden: minimum 8 for 60 s more: night batch"],
    ),
    "an override behind another stage": (
        lambda: (
            told(stabilization=Stabilization(in_seconds=60.0))
            .ordered(Override(8, None, NOON + 60, NOON))
            .sees(20)
        ),
        [
            "stabilization 5 stabilizing: highest wish of 60 s",
            "override 8 overridden: minimum 8 for 60 s more",
        ],
    ),
    "an override that has ended": (
        lambda: told(bounds=Bounds(6, 9)).ordered(Override(8, None, NOON, NOON)).sees(50),
        ["bounds 6 at_minimum: minimum 6"],
    ),
    "a budget that ends soon": (
        lambda: told(budget=Budget(24, 4)).sees(50, desired=3),
        ["budget 5 budget_low: spent in 1800 s at 3 workers"],
    ),
    "a budget that ends within the hour": (
        lambda: told(budget=Budget(24, 16)).sees(50),
        ["budget 5 budget_low: spent in 3600 s at 5 workers"],
    ),
    "a spent budget": (
        lambda: told(budget=Budget(24, 4)).sees(50).after(3600).sees(50),
        [
            "budget 0 budget_spent: 4.0 worker-hours to save up, at best in 14400 s",
            "bounds 1 at_minimum: minimum 1",
            "drain 5 workers_unlisted: who is busy is read next",
        ],
    ),
    "held workers": (
        lambda: told().sees(10, workers=listing([5.0, 5.0, 0.0, 0.0, 0.0], [NOON + 3600] * 3 + [0.0] * 2)),
        ["drain 3 workers_held: 2 busy, 3 protected"],
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_every_stage_says_what_it_did_and_why(name: str):
    """Stage, size, reason and note of all that came after the policy's own word."""
    story, lines = STORIES[name]
    decision = story().decision
    assert decision is not None
    assert [
        f"{stage.stage} {stage.workers:g} {stage.reason}: {stage.note}" for stage in decision.trail[1:]
    ] == lines


def test_the_policy_speaks_first_in_its_own_words():
    """Also of a fleet that is not seen."""
    for look in ({}, {"fleet_unknown": "throttled"}):
        clock = told(policy=Says(7.5)).sees(10, **look)
        first = clock.decision.trail[0]
        assert (first.stage, first.workers, first.reason, first.note) == (
            "policy",
            7.5,
            "demand",
            "so it says",
        )
