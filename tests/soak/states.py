"""The states of the removal protocol in which a fault may be met; the columns of the table."""

from __future__ import annotations

from collections.abc import Iterator

from autoscaler.core.state import Phase, State
from policies.model import Rollout

STATES = (
    "calm",
    *(phase.value for phase in Phase),
    "returning",
    "spared",
    "frozen",
    "foreign",
    "unconfirmed",
    "rolling",
    "leading",
    "standing by",
)
"""The last two only where daemons share a lease."""


def states_of(state: State | None, at: float) -> Iterator[str]:
    """All that hold of one controller's memory."""
    if state is None:
        return
    removal, ownership = state.removal, state.ownership
    yield from {victim.phase.value for victim in removal.victims} or {"calm"}
    if removal.returning:
        yield "returning"
    if removal.spared:
        yield "spared"
    if removal.frozen_until > at:
        yield "frozen"
    if ownership.foreign_at and at - ownership.foreign_at[-1] < 300:
        yield "foreign"
    if ownership.unconfirmed:
        yield "unconfirmed"
    latest = state.history.latest
    if getattr(latest and latest.capacity, "rollout", Rollout.STEADY) is not Rollout.STEADY:
        yield "rolling"
