"""Who set the desired count: us, or somebody else (a deploy, an operator, another autoscaler).

ECS has no compare-and-swap, so a count that we neither saw before nor wrote is a foreign write.
We never fight: it becomes the new baseline, the way in waits, and three within an hour mean that
we only observe.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from autoscaler.core.proposal import Context, Proposal
from autoscaler.core.state import Ownership
from policies.model import NEVER, Applied, LastWrite, Reason, Unknown

HOUR = 3600.0
RESETS_UNTIL_OBSERVING = 3
WRITE_SETTLES_SECONDS = 60.0
"""A write may show late: until then the count before it is no surprise."""


def written(ownership: Ownership, last_write: LastWrite, at: float) -> Ownership:
    """What the outcome of our last write makes credible as the next count."""
    match last_write:
        case Applied(desired=int() as desired):
            return replace(
                ownership, expected=(desired, *ownership.expected[:1]), wrote_at=at, unconfirmed=False
            )
        case Unknown(desired=int() as desired):
            return replace(
                ownership, expected=(*ownership.expected[:1], desired), wrote_at=at, unconfirmed=True
            )
    return ownership


def noticed(ownership: Ownership, desired: int, at: float) -> Ownership:
    """The ownership after seeing `desired`."""
    expected = ownership.expected
    if not expected:
        return Ownership(expected=(desired,))
    settling = len(expected) > 1 and at - ownership.wrote_at < WRITE_SETTLES_SECONDS
    if desired == expected[0]:
        if ownership.confirmed and not ownership.foreign_at and len(expected) == 1:
            return ownership
        kept = expected if settling and ownership.unconfirmed else (desired,)
        return replace(
            ownership,
            expected=kept,
            unconfirmed=ownership.unconfirmed and settling,
            foreign_at=_within_hour(ownership.foreign_at, at),
            confirmed=True,
        )
    if desired in expected[1:]:
        if ownership.unconfirmed:
            return replace(ownership, expected=(desired,), unconfirmed=False, confirmed=True)
        if settling:
            return replace(ownership, confirmed=True)
    return Ownership(
        expected=(desired,),
        wrote_at=ownership.wrote_at,
        foreign_at=(*_within_hour(ownership.foreign_at, at), at),
        confirmed=False,
    )


def _within_hour(instants: tuple[float, ...], at: float) -> tuple[float, ...]:
    return tuple(instant for instant in instants if at - instant < HOUR)


def observes_only(ownership: Ownership, at: float) -> bool:
    """Whether others have reset the size so often that we must not write at all."""
    return len(_within_hour(ownership.foreign_at, at)) >= RESETS_UNTIL_OBSERVING


@dataclass(frozen=True, slots=True)
class Respect:
    """After a foreign write the way in waits `quiet_seconds`; the way out waits for one more reading."""

    quiet_seconds: float = 300.0

    def __call__(self, proposal: Proposal, context: Context) -> Proposal:
        """The current size while the foreign write is fresh, or while our own write is in doubt."""
        ownership, current = context.state.ownership, context.current
        foreign_at = ownership.foreign_at[-1] if ownership.foreign_at else NEVER
        if not ownership.confirmed and proposal.workers != current:
            held = proposal.held("ownership", current, Reason.FOREIGN_WRITE, "waiting for a second reading")
            return held.to("ownership", current, Reason.FOREIGN_WRITE) if held.workers > current else held
        if proposal.workers >= current:
            return proposal
        if context.at - foreign_at < self.quiet_seconds:
            remaining = self.quiet_seconds - (context.at - foreign_at)
            note = f"somebody else set {current}; {remaining:.0f} s of quiet to go"
            return proposal.held("ownership", current, Reason.FOREIGN_WRITE, note)
        if ownership.unconfirmed:
            note = "the last write got no answer and may be applied late"
            return proposal.held("ownership", current, Reason.WRITE_UNCONFIRMED, note)
        return proposal
