"""The control step of one target: (state, observation) -> (state, decision).  Nothing else decides."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.core.alarms import Watch
from autoscaler.core.drain import Caution
from autoscaler.core.guards import GuardChain, NoData, rounded
from autoscaler.core.orders import obeyed
from autoscaler.core.ownership import Respect, hands_off, undercuts
from autoscaler.core.proposal import Context, Proposal
from autoscaler.core.remember import after_decision, after_observation, after_write, blindly
from autoscaler.core.removal import SafeRemoval
from autoscaler.core.rollout import during_rollout
from autoscaler.core.state import Ownership, State
from policies.history import History
from policies.model import (
    Capacity,
    Decision,
    Demand,
    Observation,
    Reason,
    Recommendation,
    Stage,
    Unavailable,
)
from policies.orders import Way
from policies.policy import Policy

NO_DATA = NoData()
NOBODYS = Ownership()
INFINITY = float("inf")


@dataclass(frozen=True, slots=True)
class Controller:
    """Decides for one target.  Pure: the same state and observation always give the same answer."""

    policy: Policy
    guards: GuardChain
    watch: Watch
    way_in: Caution | SafeRemoval = Caution()
    """How workers leave: the careful way that needs no more than ECS, or with their intake stopped first."""
    respect: Respect = Respect()
    demand_max_age_seconds: float = 120.0
    """Demand measured longer ago is no data."""
    history_bound: int = 1024
    observing: bool = False
    """Nobody carries the decisions out.  Then whoever does set the size intrudes on nothing, and a
    scale-in is shown as if the protections that it needs had been set."""

    def initial(self) -> State:
        """The state before the first observation."""
        return State(memory=self.policy.initial(), history=History(self.history_bound))

    def step(self, state: State, observation: Observation) -> tuple[State, Decision]:
        """The next state, and what shall be."""
        demand = _credible(observation, self.demand_max_age_seconds)
        capacity = _sane(observation.capacity)
        if demand is not observation.demand or capacity is not observation.capacity:
            observation = Observation(
                observation.at,
                demand,
                capacity,
                observation.evidence,
                observation.last_write,
                observation.orders,
            )
        at, guards = observation.at, self.guards
        history = state.history.append(observation)
        memory, recommendation = self.policy.recommend(state.memory, history)
        if observation.last_write is not None:
            state = after_write(state, observation.last_write, at, guards.rate_period_seconds)
        if isinstance(capacity, Unavailable):
            orders, wish = observation.orders, recommendation.workers
            if orders is not None and orders.pauses(Way.IN, at):
                wish = INFINITY  # nobody is to leave
            removal = self.way_in.unseen(state, wish, at)
            state = blindly(state, at, memory, history, guards)._replace(removal=removal)
            return state, _blind(state, recommendation, capacity.why)
        state = after_observation(
            state,
            observation,
            capacity,
            demand,
            memory,
            history,
            self.watch.slots_per_worker,
            guards.budget,
        )
        if self.observing:
            state = state._replace(ownership=NOBODYS)
        context = Context(at, observation, demand, capacity, capacity.desired, state, self.observing)
        proposal, wish = self._proposed(recommendation, context)
        return self._decided(proposal, wish, context)

    def _proposed(self, recommendation: Recommendation, context: Context) -> tuple[Proposal, int]:
        """The proposal after all guards, and the wish before the holds: what stabilisation remembers."""
        guards, workers = self.guards, recommendation.workers
        stage = Stage("policy", workers, recommendation.because, recommendation.note)
        proposal = Proposal(workers, 0, (stage,))
        if not 0 <= workers < INFINITY:
            proposal = Proposal(context.current, 0, (stage,)).held(
                "policy", context.current, Reason.INVALID_RECOMMENDATION, f"the policy said {workers}"
            )
        proposal = NO_DATA(proposal, context)
        if guards.tolerance is not None:
            proposal = guards.tolerance(proposal, context)
        wish = rounded(proposal.workers)
        if wish != proposal.workers:
            proposal = Proposal(wish, proposal.floor, proposal.trail)
        proposal = during_rollout(self.respect(proposal, context), context)
        for guard in guards.after_rounding:
            proposal = guard(proposal, context)
        return self._limited(proposal, context), wish

    def _limited(self, proposal: Proposal, context: Context) -> Proposal:
        """What nothing but held workers may go beyond."""
        orders, bounds = context.observation.orders, self.guards.bounds
        return bounds(proposal, context) if orders is None else obeyed(proposal, bounds, orders, context)

    def _decided(self, proposal: Proposal, wish: int, context: Context) -> tuple[State, Decision]:
        at, current, state = context.at, context.current, context.state
        alarms = self.watch.alarms(context)
        off = None if self.observing else hands_off(context)
        if off is not None:
            drain = self.way_in.given_up(proposal.to("ownership", current, *off), context)
        else:
            drain = self.way_in.drain(proposal, context)
        decided = drain.proposal
        if decided.workers > max(current, proposal.workers):  # the size goes back for held workers
            # Limits hold them up, but send nobody away.
            held = Proposal(decided.workers, max(decided.floor, current), decided.trail)
            decided = self._limited(held, context)
        if (written := undercuts(decided.workers, context)) is not None:
            note = f"{written} was written and may show late"
            decided = decided.to("ownership", current, Reason.WRITE_UNCONFIRMED, note)
        desired = int(decided.workers)
        decision = Decision(
            None if desired == current else desired,
            decided.trail,
            drain.removal.stopped,
            drain.protected,
            drain.released,
            drain.wants_workers,
            alarms,
            None
            if self.guards.budget is None or state.tokens is None
            else self.guards.budget.left(state.tokens),
        )
        stabilization, informed = self.guards.stabilization, False
        if stabilization is not None and isinstance(context.demand, Demand):
            # Only a whole reading and a valid opinion of it say how little would be enough.
            informed = context.demand.whole and 0 <= proposal.trail[0].workers < INFINITY
        return after_decision(state, wish, at, stabilization, drain, informed=informed), decision


def _credible(observation: Observation, max_age_seconds: float) -> Demand | Unavailable:
    """The observed demand, unless it is impossible or too old (or as far in the future)."""
    demand = observation.demand
    if isinstance(demand, Unavailable):
        return demand
    # One comparison catches NaN, infinities and negative readings: NaN compares false with everything.
    if not (0 <= demand.queued < INFINITY and 0 <= demand.running < INFINITY):
        return Unavailable(f"not a load: {demand.queued} queued, {demand.running} running")
    if not (0 <= demand.oldest_wait_seconds < INFINITY and 0 <= demand.scheduled < INFINITY):
        wait, scheduled = demand.oldest_wait_seconds, demand.scheduled
        return Unavailable(f"not a load: oldest wait {wait} s, {scheduled} scheduled")
    if not -max_age_seconds <= observation.at - demand.measured_at <= max_age_seconds:
        return Unavailable(f"measured {observation.at - demand.measured_at:.0f} s ago")
    return demand


def _sane(capacity: Capacity | Unavailable) -> Capacity | Unavailable:
    if isinstance(capacity, Capacity) and (
        capacity.desired < 0 or capacity.pending < 0 or capacity.running < 0
    ):
        return Unavailable(f"negative counts: desired {capacity.desired}, running {capacity.running}")
    return capacity


def _blind(state: State, recommendation: Recommendation, why: str) -> Decision:
    """Without the fleet's word nothing is written."""
    current = state.current if state.current is not None else 0
    trail = (
        Stage("policy", recommendation.workers, recommendation.because, recommendation.note),
        Stage("capacity", current, Reason.CAPACITY_UNKNOWN, why),
    )
    return Decision(desired=None, trail=trail, intake_stopped=state.removal.stopped)
