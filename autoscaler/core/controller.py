"""The control step of one target: (state, observation) -> (state, decision).  Nothing else decides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from autoscaler.core.alarms import Watch
from autoscaler.core.drain import Caution, Drain
from autoscaler.core.guards import GuardChain, NoData, rounded
from autoscaler.core.ownership import Respect, observes_only, written
from autoscaler.core.proposal import Context, Proposal
from autoscaler.core.remember import after_decision, after_observation
from autoscaler.core.rollout import during_rollout
from autoscaler.core.state import State
from policies.history import History
from policies.model import (
    Capacity,
    Decision,
    Demand,
    Observation,
    Policy,
    Reason,
    Recommendation,
    Stage,
    Unavailable,
)

NO_DATA = NoData()
INFINITY = float("inf")


@dataclass(frozen=True, slots=True)
class Controller:
    """Decides for one target.  Pure: the same state and observation always give the same answer."""

    policy: Policy
    guards: GuardChain
    watch: Watch
    caution: Caution = Caution()
    respect: Respect = Respect()
    demand_max_age_seconds: float = 120.0
    """Demand measured longer ago is no data."""
    history_bound: int = 1024

    def initial(self) -> State:
        """The state before the first observation."""
        return State(memory=self.policy.initial(), history=History(self.history_bound))

    def step(self, state: State, observation: Observation) -> tuple[State, Decision]:
        """The next state, and what shall be."""
        demand = _credible(observation, self.demand_max_age_seconds)
        capacity = _sane(observation.capacity)
        if demand is not observation.demand or capacity is not observation.capacity:
            observation = Observation(
                observation.at, demand, capacity, observation.evidence, observation.last_write
            )
        history = state.history.append(observation)
        memory, recommendation = self.policy.recommend(state.memory, history)
        if isinstance(capacity, Unavailable):
            return _blind(state, observation, memory, history, recommendation, capacity.why)
        state = after_observation(
            state,
            observation,
            capacity,
            demand,
            memory,
            history,
            self.guards.rate_period_seconds,
            self.watch.slots_per_worker,
        )
        context = Context(observation.at, observation, demand, capacity, capacity.desired, state)
        proposal, wish = self._proposed(recommendation, context)
        drain = self.caution.drain(proposal, context)
        return self._decided(drain, wish, context)

    def _proposed(self, recommendation: Recommendation, context: Context) -> tuple[Proposal, int | None]:
        """The proposal after all guards, and the rounded wish if it rests on credible data."""
        current, guards = context.current, self.guards
        workers = recommendation.workers
        stage = Stage("policy", workers, recommendation.because, recommendation.note)
        proposal = Proposal(workers, 0, (stage,))
        if not isfinite(workers) or workers < 0:
            proposal = Proposal(current, 0, (stage,)).held(
                "policy", current, Reason.INVALID_RECOMMENDATION, f"the policy said {workers}"
            )
        proposal = NO_DATA(proposal, context)
        proposal = during_rollout(self.respect(proposal, context), context)
        proposal = guards.warm_up(proposal, context)
        for guard in guards.before_rounding:
            proposal = guard(proposal, context)
        proposal = Proposal(rounded(proposal.workers), proposal.floor, proposal.trail)
        wish = int(proposal.workers) if isinstance(context.demand, Demand) else None
        for guard in guards.after_rounding:
            proposal = guard(proposal, context)
        return proposal, wish

    def _decided(self, drain: Drain, wish: int | None, context: Context) -> tuple[State, Decision]:
        at, current, state = context.at, context.current, context.state
        proposal = drain.proposal
        desired: int | None = int(proposal.workers)
        if desired == current:
            desired = None
        protected, released = drain.protected, drain.released
        trail = proposal.trail
        if context.capacity.contested_by or observes_only(state.ownership, at):
            reason = Reason.CONTESTED if context.capacity.contested_by else Reason.FOREIGN_WRITE
            trail = (*trail, Stage("ownership", current, reason, "observing only"))
            desired, protected, released = None, frozenset(), frozenset()
        decision = Decision(
            desired=desired,
            trail=trail,
            protected=protected,
            released=released,
            wants_workers=drain.wants_workers,
            alarms=self.watch.alarms(context),
        )
        return after_decision(state, decision, wish, at, self.guards.stabilization), decision


def _credible(observation: Observation, max_age_seconds: float) -> Demand | Unavailable:
    """The observed demand, unless it is impossible or too old."""
    demand = observation.demand
    if isinstance(demand, Unavailable):
        return demand
    # One comparison catches NaN, infinities and negative readings: NaN compares false with everything.
    if not (0 <= demand.queued < INFINITY and 0 <= demand.running < INFINITY):
        return Unavailable(f"not a load: {demand.queued} queued, {demand.running} running")
    if not observation.at - demand.measured_at <= max_age_seconds:
        return Unavailable(f"measured {observation.at - demand.measured_at:.0f} s ago")
    return demand


def _sane(capacity: Capacity | Unavailable) -> Capacity | Unavailable:
    if isinstance(capacity, Capacity) and min(capacity.desired, capacity.pending, capacity.running) < 0:
        return Unavailable(f"negative counts: desired {capacity.desired}, running {capacity.running}")
    return capacity


def _blind(
    state: State,
    observation: Observation,
    memory: Any,
    history: History,
    recommendation: Recommendation,
    why: str,
) -> tuple[State, Decision]:
    """Without the fleet's word nothing is written; the policy's memory goes on."""
    current = state.current if state.current is not None else 0
    trail = (
        Stage("policy", recommendation.workers, recommendation.because, recommendation.note),
        Stage("capacity", current, Reason.CAPACITY_UNKNOWN, why),
    )
    started_at = observation.at if state.started_at is None else state.started_at
    ownership = written(state.ownership, observation.last_write, observation.at)
    state = replace(state, memory=memory, history=history, started_at=started_at, ownership=ownership)
    return state, Decision(desired=None, trail=trail)
