"""How a controller's state changes: with what was observed, and with what was decided."""

from __future__ import annotations

import operator
from typing import Any

from autoscaler.core.guards import Stabilization
from autoscaler.core.ownership import noticed, written
from autoscaler.core.state import Move, State, Wishes
from policies.history import History
from policies.model import (
    Applied,
    Capacity,
    Decision,
    Demand,
    LastWrite,
    Observation,
    Unavailable,
    Unknown,
)


def after_observation(
    state: State,
    observation: Observation,
    capacity: Capacity,
    demand: Demand | Unavailable,
    memory: Any,
    history: History,
    rate_period_seconds: float,
    slots_per_worker: int,
) -> State:
    """The state once the fleet was seen."""
    at, desired = observation.at, capacity.desired
    ownership, moves = state.ownership, state.moves
    scaled_out_at, scaled_in_at = state.scaled_out_at, state.scaled_in_at
    if observation.last_write is not None:
        ownership = written(ownership, observation.last_write, at)
        move = _move(state, observation.last_write)
        if move is not None:
            moves = (*moves, move)
            if move.workers > 0:
                scaled_out_at = move.at
            elif move.workers < 0:
                scaled_in_at = move.at
    if moves and at - moves[0].at >= rate_period_seconds:
        moves = tuple(move for move in moves if at - move.at < rate_period_seconds)
    first = state.current is None
    return State(
        memory=memory,
        history=history,
        started_at=at if state.started_at is None else state.started_at,
        seen_at=at,
        current=desired,
        lows=state.lows,
        highs=Wishes(((at, desired),)) if first else state.highs,
        moves=moves,
        scaled_out_at=scaled_out_at,
        scaled_in_at=scaled_in_at,
        ownership=noticed(ownership, desired, at),
        protected=state.protected,
        short_since=_short_since(state, capacity, at),
        deaf_since=_deaf_since(state, capacity, demand, at, slots_per_worker),
    )


def after_decision(
    state: State, decision: Decision, wish: int | None, at: float, stabilization: Stabilization | None
) -> State:
    """The state once it was decided."""
    lows, highs, protected = state.lows, state.highs, state.protected
    if stabilization is not None and wish is not None:
        if stabilization.out_seconds:
            lows = lows.seen(at, wish, stabilization.out_seconds, beats=operator.lt)
        if stabilization.in_seconds:
            highs = highs.seen(at, wish, stabilization.in_seconds, beats=operator.gt)
    if decision.protected or decision.released:
        protected = (protected - decision.released) | decision.protected
    if lows is state.lows and highs is state.highs and protected is state.protected:
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
        protected,
        state.short_since,
        state.deaf_since,
    )


def _move(state: State, last_write: LastWrite) -> Move | None:
    """A write without an answer counts as done: a rate must hold even if it was applied."""
    if (
        isinstance(last_write, Applied | Unknown)
        and last_write.desired is not None
        and state.current is not None
    ):
        return Move(state.seen_at, state.current, last_write.desired)
    return None


def _short_since(state: State, capacity: Capacity, at: float) -> float | None:
    """Since when fewer workers run than desired; a new desired count starts the clock again."""
    if capacity.running >= capacity.desired and not capacity.pending:
        return None
    if state.short_since is None or state.current is None or capacity.desired > state.current:
        return at
    return state.short_since


def _deaf_since(
    state: State, capacity: Capacity, demand: Demand | Unavailable, at: float, slots_per_worker: int
) -> float | None:
    """Since when tasks have been queued although running workers have free slots."""
    if isinstance(demand, Unavailable):
        return state.deaf_since
    offered = (capacity.running - capacity.draining) * slots_per_worker
    if demand.queued > 0 and demand.running < offered and offered > 0:
        return at if state.deaf_since is None else state.deaf_since
    return None
