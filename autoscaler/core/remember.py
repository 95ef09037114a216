"""How a controller's state changes: with a write's outcome, with what was seen, with what was decided."""

from __future__ import annotations

import operator
from typing import Any

from autoscaler.core.budget import Budget
from autoscaler.core.drain import Drain
from autoscaler.core.guards import GuardChain, Stabilization
from autoscaler.core.ownership import noticed, written
from autoscaler.core.state import Move, State, Wishes
from policies.history import History
from policies.model import Applied, Capacity, Demand, LastWrite, Observation, Unavailable, Unknown


def after_write(state: State, last_write: LastWrite, at: float, rate_period_seconds: float) -> State:
    """The state once it is known how the previous decision's write ended.

    A write without an answer counts as done: a rate must hold even if it was applied.
    """
    ownership = written(state.ownership, last_write, at)
    if not isinstance(last_write, Applied | Unknown) or last_write.desired is None or state.current is None:
        return state._replace(ownership=ownership)
    move = Move(state.seen_at, state.current, last_write.desired)
    moves = state.moves
    if rate_period_seconds:
        moves = (*(each for each in moves if at - each.at < rate_period_seconds), move)
    return state._replace(
        ownership=ownership,
        moves=moves,
        scaled_out_at=move.at if move.workers > 0 else state.scaled_out_at,
        scaled_in_at=move.at if move.workers < 0 else state.scaled_in_at,
    )


def after_observation(
    state: State,
    observation: Observation,
    capacity: Capacity,
    demand: Demand | Unavailable,
    memory: Any,
    history: History,
    slots_per_worker: int,
    budget: Budget | None,
) -> State:
    """The state once the fleet was seen."""
    at, desired = observation.at, capacity.desired
    first = state.current is None
    ownership = noticed(state.ownership, desired, at)
    # Positional: keywords would cost a twentieth of the step.
    return State(
        memory,
        history,
        _started_at(state, demand, at),
        at,
        desired,
        Wishes(((at, desired),)) if first else state.lows,
        Wishes(((at, desired),)) if first else state.highs,
        # A foreign write is a new baseline: rates count from it.
        state.moves if ownership.confirmed else (),
        state.scaled_out_at,
        min(state.scaled_in_at, at),  # a clock may be set back: a cooldown lasts no longer for it
        ownership,
        state.protected,
        _short_since(state, capacity, at),
        _deaf_since(state, capacity, demand, at, slots_per_worker),
        state.removal,
        None if budget is None else budget.counted(state.tokens, at, capacity.running + capacity.pending),
    )


def blindly(state: State, at: float, memory: Any, history: History, guards: GuardChain) -> State:
    """The state after a look that did not see the fleet: whatever it was then, it was wished to stay."""
    highs = state.highs
    if state.current is not None and guards.stabilization is not None:
        highs = highs.seen(at, state.current, guards.stabilization.in_seconds, beats=operator.gt)
    return state._replace(memory=memory, history=history, highs=highs)


def after_decision(
    state: State,
    wish: int,
    at: float,
    stabilization: Stabilization | None,
    drain: Drain,
    *,
    informed: bool,
) -> State:
    """The state once it was decided.

    The wish of a step without credible data is the size that was kept.  It counts for the way in,
    which missing data must block, and not for the way out, which it must not.
    """
    lows, highs = state.lows, state.highs
    if stabilization is not None:
        if stabilization.out_seconds and informed:
            lows = lows.seen(at, wish, stabilization.out_seconds, beats=operator.lt)
        if stabilization.in_seconds:
            highs = highs.seen(at, wish, stabilization.in_seconds, beats=operator.gt)
    elif drain.ours is state.protected and drain.removal is state.removal:
        return state
    return State(
        state.memory,
        state.history,
        state.started_at,
        state.seen_at,
        state.current,
        lows,
        highs,
        state.moves,
        state.scaled_out_at,
        state.scaled_in_at,
        state.ownership,
        drain.ours,
        state.short_since,
        state.deaf_since,
        drain.removal,
        state.tokens,
    )


def _started_at(state: State, demand: Demand | Unavailable, at: float) -> float | None:
    """Never in the future: a clock may be set back."""
    if state.started_at is None:
        return at if isinstance(demand, Demand) else None
    return min(state.started_at, at)


def _short_since(state: State, capacity: Capacity, at: float) -> float | None:
    """Since when fewer workers run than desired; ordering more of them starts the clock again."""
    if capacity.running >= capacity.desired and not capacity.pending:
        return None
    if state.short_since is None or state.current is None or capacity.desired > state.current:
        return at
    return min(state.short_since, at)


def _deaf_since(
    state: State, capacity: Capacity, demand: Demand | Unavailable, at: float, slots_per_worker: int
) -> float | None:
    """Since when tasks have been queued although running workers have free slots."""
    if isinstance(demand, Unavailable):
        return state.deaf_since
    if not demand.queued:
        return None
    offered = (capacity.running - capacity.draining) * slots_per_worker
    if demand.running < offered:
        return at if state.deaf_since is None else min(state.deaf_since, at)
    return None
