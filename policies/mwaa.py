"""Amazon MWAA's rule: (running + queued) / tasks per worker.

Source: AWS's documentation of MWAA's automatic scaling.  How MWAA rounds is not documented; we
round up, the only reading under which the workers suffice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Annotated, Any, ClassVar

from annotated_types import Ge

from policies.history import History
from policies.lull import Lull
from policies.model import Capacity, Demand, Observation, Reason, Recommendation


@dataclass(frozen=True, slots=True)
class EnvironmentClass:
    """What Amazon MWAA gives with an environment of this class, and its us-east-1 list price."""

    slots_per_worker: int
    vcpu: float
    memory_gb: float
    environment_usd_per_hour: float
    worker_usd_per_hour: float | None
    """An additional worker; None: the class does not autoscale."""
    price_verified: bool = True
    """False: the worker's price continues the pattern of the smaller classes."""
    minimum: int = 1
    maximum: int = 10

    @property
    def autoscales(self) -> bool:
        """Whether MWAA adds workers in this class at all."""
        return self.worker_usd_per_hour is not None


ENVIRONMENT_CLASSES = {
    "mw1.micro": EnvironmentClass(3, 1, 3, 0.29, None, maximum=1),
    "mw1.small": EnvironmentClass(5, 1, 2, 0.49, 0.055),
    "mw1.medium": EnvironmentClass(10, 2, 4, 0.74, 0.11),
    "mw1.large": EnvironmentClass(20, 4, 8, 0.99, 0.22),
    "mw1.xlarge": EnvironmentClass(40, 8, 24, 1.98, 0.44, price_verified=False),
    "mw1.2xlarge": EnvironmentClass(80, 16, 48, 3.96, 0.88, price_verified=False),
}
"""Defaults by class; prices as third parties quoted AWS's price list."""


class ScaleIn(StrEnum):
    """When the fleet may shrink."""

    WHEN_IDLE = "when-idle"
    """Only after running + queued has been zero for a while, then straight to the minimum."""
    CONTINUOUS = "continuous"
    """As the load falls, so does the number of workers."""


@dataclass(frozen=True, slots=True)
class MwaaMemory:
    """When the first of the unbroken readings of zero load was measured; None: the last was none."""

    idle_since: float | None = None


@dataclass(frozen=True, slots=True)
class Mwaa:
    """ceil((running + queued) / slots per worker), back to the minimum when idle."""

    slots_per_worker: Annotated[int, Ge(1)]
    """Tasks one worker runs at a time (Airflow's `worker_concurrency`)."""
    scale_in: ScaleIn = ScaleIn.WHEN_IDLE
    """`when-idle`: shrink only after `idle_seconds` of no load.  `continuous`: follow the load down."""
    idle_seconds: Annotated[float, Ge(0)] = 120.0
    """How long running + queued must have been zero before `when-idle` shrinks; MWAA waits two minutes."""

    monotone: ClassVar[bool] = True
    memory_type: ClassVar[Any] = MwaaMemory

    @property
    def window_seconds(self) -> float:
        """`idle_seconds` where idleness counts, else nothing: the formula looks at one reading."""
        return self.idle_seconds if self.scale_in == ScaleIn.WHEN_IDLE else 0.0

    def initial(self) -> MwaaMemory:
        """Nothing seen yet."""
        return MwaaMemory()

    def recommend(self, memory: MwaaMemory, history: History) -> tuple[MwaaMemory, Recommendation]:
        """The formula of the newest reading; without one, the size that is."""
        observation = history.latest
        assert observation is not None
        demand, capacity = observation.demand, observation.capacity
        current = float(capacity.desired) if isinstance(capacity, Capacity) else 0.0
        if not isinstance(demand, Demand):
            return MwaaMemory(), Recommendation(current, Reason.NO_OPINION)
        required = (demand.queued + demand.running) / self.slots_per_worker
        if self.scale_in == ScaleIn.CONTINUOUS:
            return memory, Recommendation(required, Reason.DEMAND)
        if required > 0:
            # Of 5 workers, a wish of 4.5 needs all 5: that is demand, and no waiting.
            if required > current - 1:
                return MwaaMemory(), Recommendation(max(required, current), Reason.DEMAND)
            return MwaaMemory(), Recommendation(current, Reason.WAITING_FOR_IDLE)
        if not demand.whole:
            return MwaaMemory(), Recommendation(current, Reason.WAITING_FOR_IDLE)
        since = demand.measured_at if memory.idle_since is None else memory.idle_since
        idle_since = min(since, demand.measured_at)  # a clock may be set back
        memory = MwaaMemory(idle_since)
        # By the readings' own time: a late or repeated reading of zero proves nothing about now.
        if demand.measured_at - idle_since >= self.idle_seconds:
            return memory, Recommendation(0.0, Reason.IDLE)
        return memory, Recommendation(current, Reason.WAITING_FOR_IDLE)

    def lull(self, memory: MwaaMemory, observation: Observation) -> Lull | None:
        """The loads that need as many workers; when idle: those that the workers suffice for, or none."""
        demand, capacity = observation.demand, observation.capacity
        if not (isinstance(demand, Demand) and isinstance(capacity, Capacity)):
            return None
        if self.scale_in == ScaleIn.CONTINUOUS:
            needed = ceil(demand.load / self.slots_per_worker)
            return Lull(max(0, (needed - 1) * self.slots_per_worker + 1), needed * self.slots_per_worker)
        if demand.load > 0:
            enough = capacity.desired * self.slots_per_worker
            return Lull(1, enough) if demand.load <= enough else None
        # Until it has been idle for long enough, time alone changes the answer.
        idle_since = memory.idle_since
        idle = idle_since is not None and demand.measured_at - idle_since >= self.idle_seconds
        return Lull(0, 0) if idle else None
