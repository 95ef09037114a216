"""A controller whose clock and world are moved by hand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.drain import Caution
from autoscaler.core.guards import Bounds, GuardChain
from autoscaler.core.removal import SafeRemoval
from policies.model import (
    Applied,
    Capacity,
    Decision,
    Demand,
    Evidence,
    LastWrite,
    Observation,
    Reason,
    Unavailable,
    Workers,
)
from policies.mwaa import Mwaa, ScaleIn
from policies.orders import Orders, Override, Pause
from policies.policy import Policy

CONTINUOUS = Mwaa(10, ScaleIn.CONTINUOUS)
NOON = 1_800_000_000.0
UNKNOWN = float("nan")


def listing(busy: list[float], protected_until: list[float] | None = None, **columns: Any) -> Workers:
    """Workers a, b, c ... that have run for an hour."""
    count = len(busy)
    ids = tuple("abcdefghijklmnopqrstuvwxyz"[:count])
    values = {
        "state": np.ones(count, np.int64),
        "created_at": np.full(count, NOON - 3600),
        "started_at": np.full(count, NOON - 3600),
        "busy_slots": np.array(busy, float),
        "consuming": np.ones(count),
        "protected_until": np.array(protected_until or [0.0] * count, float),
    }
    return Workers(ids, tuple((name,) for name in ids), **(values | columns))


@dataclass
class Clock:
    """Tells one target's story.  A decision is carried out at once, unless the story says otherwise."""

    policy: Policy = CONTINUOUS
    guards: GuardChain = field(default_factory=lambda: GuardChain(Bounds(1, 20)))
    watch: Watch = field(default_factory=lambda: Watch(10, 20))
    desired: int = 5
    at: float = NOON
    acts: bool = True
    observing: bool = False
    way_in: Caution | SafeRemoval = field(default_factory=Caution)
    last_write: LastWrite = None
    decision: Decision | None = None
    orders: Orders | None = None

    def __post_init__(self) -> None:
        self.controller = Controller(
            self.policy, self.guards, self.watch, way_in=self.way_in, observing=self.observing
        )
        self.state = self.controller.initial()

    def after(self, seconds: float = 0.0, minutes: float = 0.0) -> Self:
        self.at += seconds + 60 * minutes
        return self

    def reloads(self, **changes: Any) -> Self:
        self.controller = replace(self.controller, guards=replace(self.controller.guards, **changes))
        return self

    def ordered(self, *given: Pause | Override) -> Self:
        """From now on; without any, nothing."""
        pause = next((each for each in given if isinstance(each, Pause)), None)
        override = next((each for each in given if isinstance(each, Override)), None)
        self.orders = Orders(pause, override) if given else None
        return self

    def wrote(self, outcome: LastWrite) -> Self:
        """How the last decision's write ended, if not well."""
        self.last_write = outcome
        return self

    def sees(
        self,
        load: float | None = None,
        *,
        queued: float = 0.0,
        running: float = 0.0,
        desired: int | None = None,
        pending: int = 0,
        workers: Workers | None = None,
        evidence: Evidence | None = None,
        unreadable: str = "",
        fleet_unknown: str = "",
        age: float = 0.0,
        demand: dict[str, Any] | None = None,
        capacity: dict[str, Any] | None = None,
    ) -> Self:
        """`load` is all running.  Workers, if listed, are known as of now unless `evidence` differs."""
        if desired is not None:
            self.desired = desired
        running = running if load is None else load
        reading: Demand | Unavailable = Demand(queued, running, self.at - age, **(demand or {}))
        fleet: Capacity | Unavailable = Capacity(
            self.desired, pending, self.desired - pending, workers=workers, **(capacity or {})
        )
        if unreadable:
            reading = Unavailable(unreadable)
        if fleet_unknown:
            fleet = Unavailable(fleet_unknown)
        known = evidence or (Evidence() if workers is None else Evidence(self.at, (), self.at))
        observation = Observation(self.at, reading, fleet, known, self.last_write, self.orders)
        self.state, self.decision = self.controller.step(self.state, observation)
        self.last_write = None
        if self.acts and (self.decision.desired is not None or self.decision.protected):
            self.last_write = Applied(self.decision.desired)
            self.desired = self.desired if self.decision.desired is None else self.decision.desired
        return self

    def expects(
        self,
        desired: int | None,
        because: Reason | None = None,
        *,
        protected: str = "",
        released: str = "",
        stopped: str = "",
    ) -> Self:
        """What the last look led to; `desired` None: write nothing."""
        assert self.decision is not None
        assert self.decision.desired == desired, self.decision.trail
        if because is not None:
            assert self.decision.reason is because, self.decision.trail
        assert self.decision.protected == frozenset(protected)
        assert self.decision.released == frozenset(released)
        assert self.decision.intake_stopped == frozenset(stopped)
        return self

    def alarms(self) -> dict[str, str]:
        assert self.decision is not None
        return {str(alarm.kind): alarm.note for alarm in self.decision.alarms}

    def because(self) -> list[Reason]:
        """The reasons of all stages."""
        assert self.decision is not None
        return [stage.reason for stage in self.decision.trail]


def told(**configuration: Any) -> Clock:
    """A story under these guards, with `desired` workers at its start."""
    names = ("policy", "watch", "desired", "acts", "observing", "at", "way_in")
    own = {name: configuration.pop(name) for name in names if name in configuration}
    return Clock(guards=GuardChain(**({"bounds": Bounds(1, 20)} | configuration)), **own)
