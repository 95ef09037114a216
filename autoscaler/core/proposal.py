"""A proposal on its way through the guards, and what a guard may look at."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from autoscaler.core.state import State
from policies.model import Capacity, Demand, Observation, Reason, Stage, Unavailable


class Proposal(NamedTuple):
    """How many workers there should be, so far, and why."""

    workers: float
    floor: int
    """No later stage may go below: data or workers forbid it."""
    trail: tuple[Stage, ...]

    def to(self, stage: str, workers: float, reason: Reason, note: str = "") -> Proposal:
        """Another size, with the reason."""
        return Proposal(workers, self.floor, (*self.trail, Stage(stage, workers, reason, note)))

    def held(self, stage: str, current: int, reason: Reason, note: str) -> Proposal:
        """At least `current`, now and in every later stage: the way in is blocked, the way out free."""
        workers = max(self.workers, current)
        return Proposal(workers, max(self.floor, current), (*self.trail, Stage(stage, workers, reason, note)))

    def held_if_less(self, stage: str, current: int, reason: Reason, note: str) -> Proposal:
        """As `held`, but without a word where nothing wants in so far (a bound still may)."""
        if self.workers < current:
            return self.held(stage, current, reason, note)
        return Proposal(self.workers, max(self.floor, current), self.trail)


class Context(NamedTuple):
    """What a guard may look at: the observation, what of it is credible, and the state that knows it."""

    at: float
    observation: Observation
    demand: Demand | Unavailable
    """The observed demand, or why it cannot be believed."""
    capacity: Capacity
    current: int
    """The observed desired count."""
    state: State
    observing: bool = False
    """Nobody carries the decision out."""


class Guard(Protocol):
    """One limit.  Returns the proposal unchanged, or a changed one with its reason in the trail."""

    def __call__(self, proposal: Proposal, context: Context, /) -> Proposal: ...
