"""What a demonstration plays: the fleet, and the waves of tasks that come in."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from random import Random

TASK_SECONDS_SIGMA = 0.35
"""Spread of the lognormal task durations: most within a third of the median."""


@dataclass(frozen=True, slots=True)
class Wave:
    """Tasks that come in together."""

    at_seconds: float
    tasks: int
    over_seconds: float
    """They come in one after the other within so long."""
    task_seconds: float
    """Median duration of a task."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One task."""

    at_seconds: float
    seconds: float
    """How long it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The whole play.  Durations are seconds."""

    waves: tuple[Wave, ...]
    min_workers: int = 1
    max_workers: int = 6
    slots_per_worker: int = 4
    launch_seconds: float = 5.0
    """Median delay between the order of a worker and its start."""
    interval_seconds: float = 1.0
    """Between two looks of the daemon."""
    warm_up_seconds: float = 5.0
    idle_seconds: float = 15.0
    """The policy goes in after so long without any load."""
    quiet_seconds: float = 10.0
    """How long the fleet is watched once it is back."""
    limit_seconds: float = 300.0
    """Whatever has not happened by then does not happen."""

    def arrivals(self, seed: int) -> list[Arrival]:
        """Every task, in the order of arrival."""
        chance = Random(seed)
        arrivals = [
            Arrival(
                wave.at_seconds + number * wave.over_seconds / wave.tasks,
                wave.task_seconds * exp(chance.gauss(0, TASK_SECONDS_SIGMA)),
            )
            for wave in self.waves
            for number in range(wave.tasks)
        ]
        return sorted(arrivals, key=lambda arrival: arrival.at_seconds)


TWO_MINUTES = Script(
    waves=(
        Wave(at_seconds=8, tasks=8, over_seconds=2, task_seconds=6),
        Wave(at_seconds=18, tasks=100, over_seconds=12, task_seconds=9),
    )
)
"""A few tasks, then a burst well above what the largest fleet runs at once, then nothing."""
