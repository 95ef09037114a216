"""What must hold after every step, whatever the policy, the guards and the world.

Written from the design's sentences and not from the controller's code: rates are counted from a log
kept here.  Every function raises `LawBrokenError` with the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, floor, isfinite

import numpy as np

from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds, Rate, RateRule, RateSelect, RateUnit
from autoscaler.core.state import State
from policies.model import (
    Applied,
    Capacity,
    Decision,
    Demand,
    Observation,
    Rollout,
    Unknown,
    Workers,
    WorkerState,
)
from policies.orders import Way


class LawBrokenError(AssertionError):
    """A law does not hold; the text says which and with what numbers."""


def holds(condition: object, law: str) -> None:
    """Raises `LawBrokenError` unless `condition` is true."""
    if not condition:
        raise LawBrokenError(law)


def credible(controller: Controller, observation: Observation) -> bool:
    """Whether the demand was read, is a load, and is fresh."""
    demand = observation.demand
    if not isinstance(demand, Demand):
        return False
    numbers = (demand.queued, demand.running, demand.oldest_wait_seconds, demand.scheduled)
    age = observation.at - demand.measured_at
    return all(isfinite(number) and number >= 0 for number in numbers) and (
        abs(age) <= controller.demand_max_age_seconds
    )


def bounds_of(controller: Controller, observation: Observation) -> Bounds:
    """The ordered bounds until they expire, else the configured ones."""
    bounds, orders = controller.guards.bounds, observation.orders
    override = orders.override if orders is not None else None
    if override is None or observation.at >= override.until:
        return bounds
    low, high = override.minimum, override.maximum
    if low is None:
        return Bounds(min(bounds.minimum, high), high) if high is not None else bounds
    return Bounds(low, max(low, bounds.maximum if high is None else high))


@dataclass
class Invariants:
    """Follows one target's steps; `check` after each."""

    moves: list[tuple[float, int, int]] = field(default_factory=list)
    """(at, before, after) of the writes that were or may have been applied."""
    previous: tuple[float, int, int | None] | None = None
    """The last step with a known fleet: when, its size, and what was decided."""
    warm_since: float | None = None
    bucket: tuple[float, float, int, bool] | None = None
    """Worker-hours left, when, with how many workers, and whether it is spent."""

    def restarted(self) -> None:
        """The state was lost: so is what it could have counted from."""
        self.moves, self.previous, self.warm_since, self.bucket = [], None, None, None

    def foreign(self) -> None:
        """Somebody else set the size: rates count from there."""
        self.moves.clear()

    def check(
        self,
        controller: Controller,
        before: State,
        observation: Observation,
        after: State,
        decision: Decision,
    ) -> None:
        """Everything that must hold of this step."""
        self._remember_write(observation)
        _is_well_formed(decision)
        capacity = observation.capacity
        if not isinstance(capacity, Capacity) or capacity.desired < 0:
            changes = (decision.desired, *decision.protected, *decision.released)
            holds(changes == (None,), f"the fleet is unknown, but {decision} would change it")
            return
        current = capacity.desired
        if after.ownership.foreign_at[-1:] == (observation.at,):
            self.foreign()
        if self.warm_since is None and credible(controller, observation):
            self.warm_since = observation.at
        bounds = bounds_of(controller, observation)
        _keeps_bounds(bounds, current, decision)
        _obeys_pauses(observation, current, decision)
        _never_lowers_in_doubt(controller, observation, capacity, decision, bounds)
        _endangers_nobody(controller, before, observation, capacity, decision)
        spent = self._is_spent(controller, observation.at, capacity)
        if spent is not None:
            _keeps_budget(spent, bounds, current, decision)
        self._keeps_warm(controller, observation.at, current, decision, bounds)
        self._keeps_rates(controller, observation.at, current, decision, bounds, spent)
        self.previous = (observation.at, current, decision.desired)

    def _remember_write(self, observation: Observation) -> None:
        write, previous = observation.last_write, self.previous
        if isinstance(write, Applied | Unknown) and write.desired is not None and previous is not None:
            self.moves.append((previous[0], previous[1], write.desired))

    def _keeps_warm(
        self, controller: Controller, at: float, current: int, decision: Decision, bounds: Bounds
    ) -> None:
        if self.warm_since is None or at - self.warm_since >= controller.guards.warm_up.seconds:
            return
        least = min(current, bounds.maximum)
        holds(
            decision.desired is None or decision.desired >= least,
            f"{current} -> {decision.desired} {at - self.warm_since:g} s after a start",
        )

    def _is_spent(self, controller: Controller, at: float, capacity: Capacity) -> int | None:
        """The floor of a budget that is spent; None: there is none, or something is left."""
        budget = controller.guards.budget
        if budget is None:
            self.bucket = None
            return None
        burst, workers = budget.burst_worker_hours, capacity.running + capacity.pending
        if self.bucket is None:
            self.bucket = (burst / 4, at, workers, False)
            return None
        left, since, before, spent = self.bucket
        left += (budget.worker_hours_per_day / 24 - before) * max(0.0, at - since) / 3600
        left = max(-burst, min(left, burst))
        spent = left <= 0 or (spent and left < burst / 4)
        self.bucket = (left, at, workers, spent)
        return budget.floor_workers if spent else None

    def _keeps_rates(
        self,
        controller: Controller,
        at: float,
        current: int,
        decision: Decision,
        bounds: Bounds,
        spent: int | None,
    ) -> None:
        limits, desired = controller.guards.rate, decision.desired
        if limits is None or desired is None:
            return
        if desired > current:
            if any(each.stage == "drain" and each.workers > current for each in decision.trail):
                return  # held workers are more than are desired, and no rate binds that
            furthest = self._limit(limits.outward, at, current, 1)
            allowed = max(furthest, bounds.minimum)
            holds(desired <= allowed, f"{current} -> {desired}, but the rate allows {allowed}")
        else:
            furthest = self._limit(limits.inward, at, current, -1)
            allowed = min(max(0, furthest), bounds.maximum)
            if spent is not None:
                allowed = min(allowed, max(spent, bounds.minimum))
            holds(desired >= allowed, f"{current} -> {desired}, but the rate allows {allowed}")

    def _limit(self, rate: Rate, at: float, current: int, sign: int) -> float:
        if rate.select is RateSelect.DISABLED:
            return current
        if not rate.rules:
            return sign * float("inf")
        limits = [sign * self._rule(rule, at, current, sign) for rule in rate.rules]
        return sign * (max(limits) if rate.select is RateSelect.MAX else min(limits))

    def _rule(self, rule: RateRule, at: float, current: int, sign: int) -> int:
        inside = [before for moved_at, before, _ in self.moves if at - moved_at < rule.period_seconds]
        start = inside[0] if inside else current
        if rule.unit is RateUnit.COUNT:
            return start + sign * int(rule.value)
        share = round(start * (1 + sign * rule.value / 100), 9)
        return max(1, ceil(share)) if sign > 0 else floor(share)


def _is_well_formed(decision: Decision) -> None:
    holds(decision.trail, "a decision without a reason")
    holds(not decision.protected & decision.released, "a worker is both protected and released")
    last = decision.trail[-1].workers
    # The policy's own stage is unrounded.
    agrees = decision.desired is None or decision.desired == ceil(round(last, 9))
    holds(agrees, f"desired {decision.desired}, but the trail ends at {last}")


def _keeps_bounds(bounds: Bounds, current: int, decision: Decision) -> None:
    desired = decision.desired
    inside = desired is None or bounds.minimum <= desired <= bounds.maximum
    holds(
        inside or (desired is not None and bounds.maximum < desired < current),
        f"{current} -> {desired} outside of {bounds.minimum}..{bounds.maximum}",
    )


def _keeps_budget(floor_workers: int, bounds: Bounds, current: int, decision: Decision) -> None:
    """Of a spent one."""
    desired, least = decision.desired, max(floor_workers, bounds.minimum)
    holds(
        desired is None or desired < current or desired <= least,
        f"{current} -> {desired} although the budget is spent and its floor is {least}",
    )


def _obeys_pauses(observation: Observation, current: int, decision: Decision) -> None:
    pause = observation.orders.pause if observation.orders is not None else None
    desired = decision.desired
    if pause is None or desired is None or observation.at >= pause.until:
        return
    way = Way.OUT if desired > current else Way.IN
    holds(pause.way not in {way, Way.BOTH}, f"{current} -> {desired} although {pause.way} is paused")


def _never_lowers_in_doubt(
    controller: Controller,
    observation: Observation,
    capacity: Capacity,
    decision: Decision,
    bounds: Bounds,
) -> None:
    desired, demand = decision.desired, observation.demand
    if capacity.contested_by or capacity.rollout is Rollout.FAILED:
        holds(desired is None, f"desired {desired} though the size is not ours to set")
    lowers = desired is not None and desired < capacity.desired
    if not lowers:
        return
    change = f"{capacity.desired} -> {desired}"
    holds(credible(controller, observation), f"{change} without data")
    holds(isinstance(demand, Demand) and demand.whole, f"{change} although load may be missing")
    holds(capacity.rollout is Rollout.STEADY, f"{change} during a rollout")
    said = decision.recommended
    holds(
        (isfinite(said) and said >= 0) or capacity.desired > bounds.maximum,
        f"{change} because the policy said {said}",
    )


def _endangers_nobody(
    controller: Controller, before: State, observation: Observation, capacity: Capacity, decision: Decision
) -> None:
    desired, workers, at = decision.desired, capacity.workers, observation.at
    lowers = desired is not None and desired < capacity.desired
    if not lowers and not decision.released:
        return
    if workers is None:
        raise LawBrokenError("workers leave or lose protection unseen")
    busy, protected = _held(workers, observation, controller.way_in.pending_deadline_seconds)
    released = np.array([name in decision.released for name in workers.ids], dtype=bool)
    holds(not (released & busy).any(), f"a busy worker of {sorted(decision.released)} is released")
    holds(decision.released <= before.protected, "a protection is released that was never ours")
    if lowers:
        holds(not (busy & ~(workers.protected_until > at)).any(), "a busy worker is not protected")
        floor_ = int((busy | protected).sum())
        holds(
            desired is not None and desired >= floor_, f"desired {desired} below {floor_} busy or protected"
        )


def _held(
    workers: Workers, observation: Observation, pending_deadline_seconds: float
) -> tuple[np.ndarray, np.ndarray]:
    """Who is busy and who is protected; unknown counts, unless nothing runs anywhere.

    Who should have started long ago holds nothing.
    """
    demand, staying = observation.demand, workers.state != WorkerState.STOPPING
    nothing = isinstance(demand, Demand) and demand.load == 0
    overdue = observation.at - workers.created_at >= pending_deadline_seconds
    overdue &= workers.state == WorkerState.PENDING
    unknown = np.isnan(workers.busy_slots) & ~overdue & (not nothing)
    busy = staying & (unknown | (np.nan_to_num(workers.busy_slots) > 0))
    protected = staying & (np.isnan(workers.protected_until) | (workers.protected_until > observation.at))
    return busy, protected
