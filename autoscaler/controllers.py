"""From settings to decisions: the controller of a target, as configured.  Nothing here touches the world."""

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
from autoscaler.core.removal import SafeRemoval
from autoscaler.core.victims import Patience
from autoscaler.loop import Timing
from autoscaler.settings import Guards, Mode, RemovalMode, Settings, Target
from policies import catalog


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
        way_in=way_in_of(target, settings),
        respect=Respect(guards.foreign_quiet_seconds),
        demand_max_age_seconds=target.demand_max_age_seconds,
        observing=settings.mode is Mode.OBSERVE,
    )


def way_in_of(target: Target, settings: Settings) -> Caution | SafeRemoval:
    """How the target's workers leave."""
    removal, guards, mode = target.removal, target.guards, settings.removal_mode(target)
    max_age_seconds = 3 * target.interval_seconds + target.read_deadline_seconds
    if mode is RemovalMode.CAREFUL:
        return Caution(guards.pending_deadline_seconds, max_age_seconds)
    return SafeRemoval(
        Patience(deadline_seconds=removal.deadline_seconds, kills=removal.kills),
        consolidates=mode is RemovalMode.GATHER,
        pending_deadline_seconds=guards.pending_deadline_seconds,
        evidence_max_age_seconds=max_age_seconds,
        protection_seconds=60.0 * target.protection_minutes,
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
        budget=guards.budget,
    )


def timing_of(target: Target) -> Timing:
    """The target's interval and deadlines."""
    return Timing(target.interval_seconds, target.read_deadline_seconds, target.write_deadline_seconds)
