"""The modelled worker service: how workers launch, hold tasks and leave."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np

from simulations.trace import quantised


@dataclass(frozen=True, slots=True)
class LaunchDelay:
    """From the order to the first task taken: lognormal, or constant with a spread of 0."""

    median_seconds: float = 59.0
    """The middle of ten measured Fargate launches of a 413 MB image (53 to 62 s)."""
    spread: float = 0.2
    """Standard deviation of the logarithm.  0.2 puts 95 % of launches between 40 and 87 s: wider than
    those ten, which were one image in one account."""

    def __post_init__(self) -> None:
        for name, value in (("median_seconds", self.median_seconds), ("spread", self.spread)):
            if not (isfinite(value) and value >= 0):
                raise ValueError(f"launch delay: {name} must be 0 or more, got {value:g}")

    def seconds(self, generator: np.random.Generator) -> float:
        """One launch.  Always draws, so that the n-th worker's luck is the same in compared runs."""
        drawn = float(generator.standard_normal())
        return quantised(self.median_seconds * float(np.exp(self.spread * drawn)))


@dataclass(frozen=True, slots=True)
class ServiceModel:
    """One ECS service of Celery workers."""

    slots_per_worker: int
    launch: LaunchDelay = LaunchDelay()
    slot_tail_seconds: float = 0.0
    """How long a slot stays taken after its task's end.  Airflow 3.3 was measured at a mean of 1.8 to
    3.7 s, 2.11 at 0.25 s; 0 is queueing theory's world."""
    retry_delay_seconds: float = 600.0
    """From a worker's loss until its tasks are queued again: Airflow notices after 300 s without a
    heartbeat, and its default delay between tries is 300 s."""
    protection_seconds: float = 7200.0
    """How long a scale-in protection lasts; ECS's default."""
    pending_leave_first: bool = True
    """Whether a scale-in takes workers that have not started before others; ECS does not say."""

    def __post_init__(self) -> None:
        if self.slots_per_worker < 1:
            raise ValueError(f"slots per worker must be at least 1, got {self.slots_per_worker}")
        for name in ("slot_tail_seconds", "retry_delay_seconds", "protection_seconds"):
            value = getattr(self, name)
            if not (isfinite(value) and value >= 0):
                raise ValueError(f"{name.replace('_', ' ')} must be 0 or more, got {value:g}")
            object.__setattr__(self, name, quantised(value))
