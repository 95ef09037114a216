"""The limits between a policy's wish and a size: each says why when it changes something.

Windows and periods count an event while its age is strictly less than they are long.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil, floor
from typing import Annotated

from annotated_types import Ge, Gt, Le

from autoscaler.core.budget import Budget
from autoscaler.core.proposal import Context, Guard, Proposal
from policies.model import Reason, Unavailable

Seconds = Annotated[float, Ge(0)]


@dataclass(frozen=True, slots=True)
class NoData:
    """Without credible demand nothing goes in; with partial demand neither.  The way out is free."""

    def __call__(self, proposal: Proposal, context: Context) -> Proposal:
        """At least the current size while the load is unknown or may be incomplete."""
        demand = context.demand
        if isinstance(demand, Unavailable):
            return proposal.held("no_data", context.current, Reason.NO_DATA, demand.why)
        if not demand.whole:
            note = "part of the load may be missing"
            return proposal.held_if_less("no_data", context.current, Reason.PARTIAL_DATA, note)
        return proposal


@dataclass(frozen=True, slots=True)
class WarmUp:
    """After a start nothing goes in until the load was known for `seconds`: a restart never shrinks."""

    seconds: Seconds = 0.0

    def __call__(self, proposal: Proposal, context: Context) -> Proposal:
        """At least the current size until warm.

        The maximum still binds: an operator who lowers it and restarts means it.
        """
        started_at = context.state.started_at
        if proposal.workers >= context.current or started_at is None:
            return proposal
        remaining = self.seconds - (context.at - started_at)
        if remaining <= 0:
            return proposal
        return proposal.to("warm_up", context.current, Reason.WARMING_UP, f"{remaining:.0f} s to go")


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Small changes are noise: inside [1 - in, 1 + out] of the current size nothing moves.

    Kubernetes' HPA rule.  Worked example, 0.1 each way: of 10 workers a wish of 10.9 or 9.1 stays 10.
    """

    out_share: Annotated[float, Ge(0), Le(1)] = 0.0
    in_share: Annotated[float, Ge(0), Le(1)] = 0.0

    def __call__(self, proposal: Proposal, context: Context) -> Proposal:
        """The current size while the unrounded wish is inside the band."""
        current = context.current
        if current <= 0 or proposal.workers == current:
            return proposal
        ratio = proposal.workers / current
        if 1 - self.in_share <= ratio <= 1 + self.out_share:
            return proposal.to("tolerance", current, Reason.WITHIN_TOLERANCE, f"ratio {ratio:.3f}")
        return proposal


@dataclass(frozen=True, slots=True)
class Stabilization:
    """A wish counts only once the whole window agrees: out takes its smallest, in its largest wish.

    At first sight the current size enters both windows.  A way-out window that missing data has
    emptied opposes nothing: missing data blocks the way in, never the way out.
    """

    out_seconds: Seconds = 0.0
    in_seconds: Seconds = 0.0

    def __call__(self, proposal: Proposal, context: Context) -> Proposal:
        """The wish, limited by the wishes of the direction's window."""
        current, at, state = context.current, context.at, context.state
        if proposal.workers > current and self.out_seconds:
            lowest = state.lows.extreme(at, self.out_seconds)
            if lowest is not None and (limit := max(current, lowest)) < proposal.workers:
                note = f"lowest wish of {self.out_seconds:g} s"
                return proposal.to("stabilization", limit, Reason.STABILIZING, note)
        elif proposal.workers < current and self.in_seconds:
            highest = state.highs.extreme(at, self.in_seconds)
            limit = current if highest is None else min(current, highest)
            if limit > proposal.workers:
                note = f"highest wish of {self.in_seconds:g} s"
                return proposal.to("stabilization", limit, Reason.STABILIZING, note)
        return proposal


@dataclass(frozen=True, slots=True)
class Cooldown:
    """After a move, the next one in the same direction waits."""

    out_seconds: Seconds = 0.0
    in_seconds: Seconds = 0.0

    def __call__(self, proposal: Proposal, context: Context) -> Proposal:
        """The current size until the direction has cooled down."""
        if proposal.workers > context.current:
            # A move from the future means that the clock was set back; the way out does not wait for it.
            since = context.at - context.state.scaled_out_at
            remaining = self.out_seconds - since if since >= 0 else 0.0
        elif proposal.workers < context.current:
            remaining = self.in_seconds - (context.at - context.state.scaled_in_at)
        else:
            return proposal
        if remaining <= 0:
            return proposal
        return proposal.to("cooldown", context.current, Reason.COOLING_DOWN, f"{remaining:.0f} s to go")


class RateUnit(StrEnum):
    """What a rate counts."""

    COUNT = "count"
    PERCENT = "percent"


class RateSelect(StrEnum):
    """Which of several rates binds: the most generous, the strictest, or no move at all."""

    MAX = "max"
    MIN = "min"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class RateRule:
    """At most `value` workers (or percent of the size at the period's start) per period."""

    value: Annotated[float, Gt(0)]
    period_seconds: Annotated[float, Gt(0)]
    unit: RateUnit = RateUnit.COUNT

    def __post_init__(self) -> None:
        if self.unit is RateUnit.COUNT and self.value != int(self.value):
            raise ValueError(f"value must be whole for unit 'count', got {self.value:g}")


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast one direction may go; Kubernetes' HPA `behavior` rules."""

    rules: tuple[RateRule, ...] = ()
    select: RateSelect = RateSelect.MAX

    def limit(self, context: Context, sign: int) -> int | None:
        """The furthest size out (`sign` 1) or in (-1); None: unlimited."""
        if self.select is RateSelect.DISABLED:
            return context.current
        if not self.rules:
            return None
        limits = [_rule_limit(rule, context, sign) for rule in self.rules]
        furthest = self.select is RateSelect.MAX
        return max(limits) if furthest is (sign > 0) else min(limits)


def _rule_limit(rule: RateRule, context: Context, sign: int) -> int:
    """The furthest size one rule allows, from the size before the first move inside its period.

    Worked example, 4 a minute: 6 became 10 half a minute ago, so 10 is as far out as it goes.
    """
    # Not "current less the moves", as Kubernetes counts: a write that may or may not have been
    # applied would count twice.  Without foreign writes, which empty the moves, both agree.
    start = context.current
    for move in context.state.moves:
        if 0 <= context.at - move.at < rule.period_seconds:  # a clock set back leaves moves in the future
            start = move.before
            break
    if rule.unit is RateUnit.COUNT:
        return start + sign * int(rule.value)
    scaled = start * (1 + sign * rule.value / 100)
    # Of no worker every share is none; a fleet must be able to leave zero.
    return max(1, ceil(round(scaled, 9))) if sign > 0 else floor(round(scaled, 9))


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Binds only what the policy asked for: bounds and holds come after it."""

    outward: Rate = Rate()
    inward: Rate = Rate()

    def __call__(self, proposal: Proposal, context: Context) -> Proposal:
        """The wish, no further than the direction's rate allows."""
        current = context.current
        if proposal.workers > current:
            limit = self.outward.limit(context, 1)
            if limit is not None and proposal.workers > (limit := max(current, limit)):
                return proposal.to("rate", limit, Reason.RATE_LIMITED)
        elif proposal.workers < current:
            limit = self.inward.limit(context, -1)
            if limit is not None and proposal.workers < (limit := max(0, min(current, limit))):
                return proposal.to("rate", limit, Reason.RATE_LIMITED)
        return proposal


@dataclass(frozen=True, slots=True)
class Bounds:
    """The minimum and the maximum; a floor set by a hold beats both.

    Above the maximum the size never rises.  No rate binds the way to a new bound: the operator who
    sets it means it, and what holds work is kept by the drain.
    """

    minimum: Annotated[int, Ge(0)] = 0
    maximum: Annotated[int, Ge(0)] = 10

    def __post_init__(self) -> None:
        if self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}")

    def __call__(self, proposal: Proposal, context: Context) -> Proposal:
        """The wish inside the bounds, never below the proposal's floor."""
        wish = proposal.workers
        if wish > self.maximum:
            # Held above a lowered maximum, it stays where it is, and says why.
            allowed = max(self.maximum, proposal.floor)
            note = f"maximum {self.maximum}" if allowed == self.maximum else f"maximum {self.maximum}, held"
            return proposal.to("bounds", min(wish, allowed), Reason.AT_MAXIMUM, note)
        if wish < self.minimum:
            return proposal.to("bounds", self.minimum, Reason.AT_MINIMUM, f"minimum {self.minimum}")
        return proposal


def rounded(workers: float) -> int:
    """Up to whole workers, forgiving the last bits of a float: 3.0000000001 is 3."""
    whole = int(workers)
    return whole + 1 if workers - whole > 1e-9 else whole


@dataclass(frozen=True, slots=True)
class GuardChain:
    """The configurable limits of one target, in the fixed order in which they apply.

    Tolerance comes before every hold, so that the wish that stabilisation remembers is the policy's
    and no hold's; the size that comes out is the same as in any other order of the two.
    """

    bounds: Bounds = Bounds()
    warm_up: WarmUp = WarmUp()
    tolerance: Tolerance | None = None
    stabilization: Stabilization | None = None
    cooldown: Cooldown | None = None
    rate: RateLimit | None = None
    budget: Budget | None = None

    after_rounding: tuple[Guard, ...] = field(init=False, repr=False)
    """Guards over whole workers; the bounds follow."""
    rate_period_seconds: float = field(init=False, repr=False)
    """The longest period of any rate: how long moves are remembered."""

    def __post_init__(self) -> None:
        chosen: list[Guard | None] = [self.warm_up, self.stabilization, self.cooldown, self.rate]
        if self.budget is not None:
            chosen += [
                self.budget,
                self.warm_up,
            ]  # a restart never shrinks, not even a fleet beyond its budget
        rules = (*self.rate.outward.rules, *self.rate.inward.rules) if self.rate else ()
        object.__setattr__(self, "after_rounding", tuple(filter(None, chosen)))
        longest = max((rule.period_seconds for rule in rules), default=0.0)
        object.__setattr__(self, "rate_period_seconds", longest)
