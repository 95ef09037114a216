"""What must never happen, looked for at every step and in every line that is told."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

from autoscaler.core.controller import Controller
from autoscaler.core.state import State
from autoscaler.loop import TargetLoop
from policies.model import Capacity, Decision, Observation, WorkerState
from simulations.invariants import Invariants, LawBrokenError
from tests.soak.ports import SECRET

Broken = Callable[[str], None]
Surprise = Callable[[], tuple[float, int] | None]
"""When somebody else last set a size that nobody could expect, and which."""
EXPECTED_DEFECTS = ("an adapter failed, ValueError",)
"""Defects that the weather makes: a source that raises what it should not."""


class Watched:
    """A controller whose every step is held against the invariants.

    While it only observes nothing of it is carried out, and the fleet is not as it would have made it.
    """

    def __init__(
        self,
        controller: Controller,
        as_configured: Controller,
        invariants: Invariants,
        broken: Broken,
        surprise: Surprise,
        clock: Callable[[], float],
    ) -> None:
        self._controller, self._invariants, self._broken = controller, invariants, broken
        self._as_configured, self._now = as_configured, clock
        self._surprise, self._began_at = surprise, float("inf")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._controller, name)

    def step(self, state: State, observation: Observation) -> tuple[State, Decision]:
        """As the controller does."""
        after, decision = self._controller.step(state, observation)
        if not self._controller.observing:
            try:
                self._invariants.check(self._as_configured, state, observation, after, decision)
            except LawBrokenError as error:
                self._broken(str(error))
            if stops := stops_too_many(state, observation, decision):
                self._broken(stops)
            if ignored := self._ignores_a_surprise(observation, decision):
                self._broken(ignored)
        return after, decision

    def _ignores_a_surprise(self, observation: Observation, decision: Decision) -> str:
        """Whether the size is lowered soon after somebody else has set it, before this daemon's eyes."""
        self._began_at, surprise = min(self._began_at, self._now()), self._surprise()
        capacity, quiet_seconds = observation.capacity, self._as_configured.respect.quiet_seconds
        if surprise is None or observation.orders is not None or not isinstance(capacity, Capacity):
            return ""
        at, desired = surprise
        seen = self._began_at < at and capacity.desired == desired and self._now() - at < quiet_seconds - 1
        lowers = decision.desired is not None and decision.desired < desired
        return (
            f"{desired} -> {decision.desired}, just after somebody set {desired}" if seen and lowers else ""
        )


def stops_too_many(state: State, observation: Observation, decision: Decision) -> str:
    """A quarter of the workers, or one, may have their intake stopped; empty: no more have."""
    already = state.removal.stopped | {each.worker for each in state.removal.returning}
    capacity, fresh = observation.capacity, decision.intake_stopped - already
    if not fresh or not isinstance(capacity, Capacity) or capacity.workers is None:
        return ""
    workers = capacity.workers
    running = {
        each for each, now in zip(workers.ids, workers.state, strict=True) if now == WorkerState.RUNNING
    }
    strangers = {each for each, takes in zip(workers.ids, workers.consuming, strict=True) if takes == 0}
    chosen = len((decision.intake_stopped & running) - (strangers - state.removal.stopped))
    most = max(1, len(running) - ceil(0.75 * capacity.desired))
    return f"{chosen} of {len(running)} workers have their intake stopped" if chosen > most else ""


def watched(
    loop: TargetLoop,
    as_configured: Controller,
    broken: Broken,
    surprise: Surprise,
    clock: Callable[[], float],
) -> TargetLoop:
    """The loop with its controller watched.  What a former generation remembered it goes on with."""
    invariants = Invariants()
    if loop.memory.state.started_at is not None:
        invariants.warm_since = float("-inf")
    loop.controller = Watched(loop.controller, as_configured, invariants, broken, surprise, clock)  # type: ignore[assignment]
    return loop


class Lines:
    """The daemon's output: read for secrets and for defects, and thrown away."""

    def __init__(self, broken: Broken) -> None:
        self.written, self._broken = 0, broken

    def write(self, text: str) -> int:
        """One line, or a part of one."""
        self.written += 1
        if SECRET in text:
            self._broken(f"a secret is told: {text[:200]}")
        if '"defect"' in text and not any(each in text for each in EXPECTED_DEFECTS):
            self._broken(f"a defect: {text[:300]}")
        return len(text)

    def flush(self) -> None:
        """Nothing is kept."""

    def isatty(self) -> bool:
        """Nobody watches."""
        return False
