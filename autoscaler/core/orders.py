"""An operator's orders as guards: other bounds, and behind everything a pause."""

from __future__ import annotations

from autoscaler.core.guards import Bounds
from autoscaler.core.proposal import Context, Proposal
from policies.model import Reason
from policies.orders import Orders, Override, Pause, Way


def bounds_now(bounds: Bounds, orders: Orders | None, at: float) -> Bounds:
    """The bounds in force.  Where an ordered bound and a configured one cross, the ordered one counts."""
    override = orders.override if orders is not None else None
    if override is None or not at < override.until:
        return bounds
    minimum = bounds.minimum if override.minimum is None else override.minimum
    maximum = bounds.maximum if override.maximum is None else override.maximum
    if override.minimum is None:
        return Bounds(min(minimum, maximum), maximum)
    return Bounds(minimum, max(minimum, maximum))


def obeyed(proposal: Proposal, bounds: Bounds, orders: Orders, context: Context) -> Proposal:
    """The proposal inside the bounds in force, and not moving a way that is paused.

    A pause comes last: it holds even a size outside of the bounds.  What would have been is in the trail.
    """
    limited = bounds_now(bounds, orders, context.at)(proposal, context)
    if limited is not proposal and (override := orders.override) is not None:
        limited = _named(proposal, limited, override, context.at)
    current = context.current
    if orders.pause is None:
        return limited
    if orders.pauses(Way.BOTH, context.at) or (
        limited.workers != current
        and orders.pauses(Way.OUT if limited.workers > current else Way.IN, context.at)
    ):
        return limited.to("pause", current, Reason.PAUSED, _ordered(orders.pause, context.at))
    return limited


def _named(proposal: Proposal, limited: Proposal, override: Override, at: float) -> Proposal:
    """With the override as the reason, where it is its bound that counts."""
    stage = limited.trail[-1]
    bound = override.minimum if stage.reason is Reason.AT_MINIMUM else override.maximum
    if bound is None or not at < override.until:
        return limited
    note = f"{stage.note} {_ordered(override, at)}"
    return proposal.to("override", limited.workers, Reason.OVERRIDDEN, note)


def _ordered(order: Pause | Override, at: float) -> str:
    remaining = order.until - at
    still = f"for {remaining:.0f} s more" if remaining < float("inf") else "until it is resumed"
    by = f", ordered by {order.by}" if order.by else ""
    return f"{still}{by}: {order.why}" if order.why else f"{still}{by}"
