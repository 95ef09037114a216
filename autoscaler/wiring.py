"""From settings to running parts.  The only module that names concrete adapters."""

from __future__ import annotations

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.drain import Caution
from autoscaler.core.guards import (
    Bounds,
    Cooldown,
    GuardChain,
    RateLimit,
    Stabilization,
    Tolerance,
    WarmUp,
)
from autoscaler.core.ownership import Respect
from autoscaler.loop import Timing
from autoscaler.settings import Guards, Settings, Target
from policies import catalog


class WiringError(Exception):
    """A valid configuration that cannot be put to work here; the message names the setting."""


def controller_of(target: Target, settings: Settings) -> Controller:
    """The target's decisions, as configured."""
    guards = target.guards
    return Controller(
        policy=catalog.build(target.policy, target.slots),
        guards=guard_chain(guards, target.minimum, target.maximum),
        watch=Watch(
            slots_per_worker=target.slots,
            maximum=target.maximum,
            pending_deadline_seconds=guards.pending_deadline_seconds,
            parallelism=settings.airflow.parallelism,
        ),
        caution=Caution(
            pending_deadline_seconds=guards.pending_deadline_seconds,
            evidence_max_age_seconds=3 * target.interval_seconds + target.read_deadline_seconds,
        ),
        respect=Respect(guards.foreign_quiet_seconds),
        demand_max_age_seconds=target.demand_max_age_seconds,
    )


def guard_chain(guards: Guards, minimum: int, maximum: int) -> GuardChain:
    """Only the guards that limit anything: an unused one costs nothing and says nothing."""
    tolerance = Tolerance(guards.tolerance_out_share, guards.tolerance_in_share)
    stabilization = Stabilization(guards.stabilization_out_seconds, guards.stabilization_in_seconds)
    cooldown = Cooldown(guards.cooldown_out_seconds, guards.cooldown_in_seconds)
    rate = RateLimit(guards.rate_out, guards.rate_in)
    return GuardChain(
        bounds=Bounds(minimum, maximum),
        warm_up=WarmUp(guards.warm_up_seconds),
        tolerance=tolerance if tolerance != Tolerance() else None,
        stabilization=stabilization if stabilization != Stabilization() else None,
        cooldown=cooldown if cooldown != Cooldown() else None,
        rate=rate if rate != RateLimit() else None,
    )


def timing_of(target: Target) -> Timing:
    """The target's interval and deadlines."""
    return Timing(target.interval_seconds, target.read_deadline_seconds, target.write_deadline_seconds)
