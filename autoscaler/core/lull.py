"""Lulls: when looks to come cannot change anything, and the state after them as if they had been taken."""

from __future__ import annotations

import operator

from autoscaler.core.controller import Controller
from autoscaler.core.guards import GuardChain, rounded
from autoscaler.core.state import State, Wishes
from policies.lull import Lull, lull_of
from policies.model import Capacity, Decision, Demand, Rollout


def lull_after(controller: Controller, state: State, decision: Decision) -> Lull | None:
    """The looks that cannot change anything after a step that gave `state` and `decision`; None: all may.

    While each look shows the same capacity, a whole demand of which nothing is queued and a load within the
    lull, no outcome of a write, and happens before the lull's end, its step would again write nothing and
    want nothing, and leave the state that `rested` makes (but for the looks in the history).
    """
    observation = state.history.latest
    if observation is None or observation.last_write is not None or controller.observing:
        return None
    if observation.orders is not None or controller.guards.budget is not None:  # time alone may change them
        return None
    demand, capacity = observation.demand, observation.capacity
    if not (isinstance(demand, Demand) and demand.whole and not demand.queued):
        return None
    if not (isinstance(capacity, Capacity) and _steady(capacity) and _settled(state)):
        return None
    if not (_does_nothing(decision) and _stays(controller.guards, decision.recommended, capacity.desired)):
        return None
    return lull_of(controller.policy, state.memory, observation)


def rested(controller: Controller, state: State, at: float) -> State:
    """The state after the looks of a lull of which the last was at `at`."""
    lows, highs, stabilization = state.lows, state.highs, controller.guards.stabilization
    if stabilization is not None:
        if stabilization.out_seconds:
            lows = lows.seen(at, _newest(lows), stabilization.out_seconds, beats=operator.lt)
        if stabilization.in_seconds:
            highs = highs.seen(at, _newest(highs), stabilization.in_seconds, beats=operator.gt)
    return state._replace(seen_at=at, lows=lows, highs=highs)


def _newest(wishes: Wishes) -> int:
    """The wish of the last look, which every look of a lull repeats."""
    return wishes.entries[-1][1]


def _steady(capacity: Capacity) -> bool:
    """Nothing about the fleet that time alone would change."""
    return capacity.workers is None and capacity.rollout is Rollout.STEADY and not capacity.contested_by


def _settled(state: State) -> bool:
    """Nothing is waited for: no write, no worker on its way, nobody else's size."""
    ownership = state.ownership
    ours = ownership.confirmed and not ownership.unconfirmed and not ownership.foreign_at
    return ours and len(ownership.expected) == 1 and state.short_since is None


def _does_nothing(decision: Decision) -> bool:
    asks = decision.intake_stopped or decision.protected or decision.released or decision.wants_workers
    return decision.desired is None and not asks


def _stays(guards: GuardChain, recommended: float, current: int) -> bool:
    """Whether the wish, rounded up, leads to the current size through every guard, at any time.

    A wish for the current size passes all of them.  One below it may be held up by guards that time opens;
    at the minimum all of them lead to the same.
    """
    bounds = guards.bounds
    if not (0 <= recommended < float("inf") and bounds.minimum <= current <= bounds.maximum):
        return False
    wish = rounded(recommended)
    # With a tolerance the wish that stabilisation remembers depends on more than the rounded one.
    return wish == current or (wish < current == bounds.minimum and guards.tolerance is None)
