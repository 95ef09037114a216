"""How a bug is planted: a few lines between the loop and one of its parts; all else is as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from autoscaler.core.controller import Controller
from autoscaler.core.removal import SafeRemoval
from autoscaler.core.state import State
from autoscaler.loop import TargetLoop
from policies.model import Capacity, Decision, Observation
from tests.soak.clients import in_process
from tests.soak.profile import Profile, profile_of
from tests.soak.story import Outcome, Story

MOST_WORLDS = 12
"""A bug that shows in none of so many is not caught."""
Step = Callable[[Controller, State, Observation], tuple[State, Decision]]


@dataclass(frozen=True)
class Bug:
    """One line in some daemon, and the luck in which it shows."""

    plant: Callable[[TargetLoop], None]
    needs: frozenset[str] = frozenset()
    """Kinds that a world must have for it ..."""
    profile: Mapping[str, Any] = field(default_factory=dict)
    """... and what else must be so."""
    removal: str = "gather"
    seed: int = 1
    """The first world in which it is looked for: one that was seen to catch it."""

    def wrap(self, loop: TargetLoop) -> TargetLoop:
        """The loop with the bug in it."""
        self.plant(loop)
        return loop

    def tuned(self, profile: Profile) -> Profile:
        """A world in which it can show."""
        target = {**profile.target, "removal": {"mode": self.removal, "deadline_seconds": 600.0}}
        changes = {"mode": "act", "guarded": False, "target": target, **self.profile}
        return replace(profile, kinds=profile.kinds | self.needs, **changes)

    def played(self, seed: int) -> Outcome:
        """The world of a seed with this bug in every daemon."""
        return Story(self.tuned(profile_of(seed)), self.wrap, in_process).play()

    def caught(self) -> Outcome | None:
        """The first of some worlds that catches it."""
        outcomes = map(self.played, range(self.seed, self.seed + MOST_WORLDS))
        return next((outcome for outcome in outcomes if outcome.broken), None)


class Stepping:
    """A controller with another step."""

    def __init__(self, controller: Controller, step: Step) -> None:
        self._controller, self._step = controller, step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._controller, name)

    def step(self, state: State, observation: Observation) -> tuple[State, Decision]:
        """The other one."""
        return self._step(self._controller, state, observation)


def stepping(step: Step) -> Callable[[TargetLoop], None]:
    """The bug is in the step."""

    def plant(loop: TargetLoop) -> None:
        loop.controller = Stepping(loop.controller, step)  # type: ignore[assignment]

    return plant


def seeing(look: Callable[[State, Observation], Observation]) -> Callable[[TargetLoop], None]:
    """The bug is in what is made of a look."""
    return stepping(lambda controller, state, observation: controller.step(state, look(state, observation)))


def configured(**changes: Any) -> Callable[[TargetLoop], None]:
    """The bug is in how removals are built."""

    def plant(loop: TargetLoop) -> None:
        way_in = loop.controller.way_in
        if isinstance(way_in, SafeRemoval):
            loop.controller = replace(loop.controller, way_in=replace(way_in, **changes))

    return plant


def guarded(**changes: Any) -> Callable[[TargetLoop], None]:
    """The bug is in the chain of guards."""

    def plant(loop: TargetLoop) -> None:
        loop.controller = replace(loop.controller, guards=replace(loop.controller.guards, **changes))

    return plant


def otherwise(observation: Observation, names: frozenset[str] | None, **columns: Any) -> Observation:
    """The observation with these columns of these workers (None: of all) changed."""
    capacity = observation.capacity
    if not isinstance(capacity, Capacity) or capacity.workers is None:
        return observation
    workers = capacity.workers
    chosen = np.array([names is None or name in names for name in workers.ids], dtype=bool)
    changed = {name: np.where(chosen, value, getattr(workers, name)) for name, value in columns.items()}
    return replace(observation, capacity=replace(capacity, workers=replace(workers, **changed)))
