"""Who set the desired count: us, or somebody else (a deploy, an operator, another autoscaler).

ECS has no compare-and-swap, so a count that we neither saw before nor wrote is a foreign write.
We never fight: it becomes the new baseline, the way in waits, and three within an hour mean that
we only observe.
"""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.core.proposal import Context, Proposal
from autoscaler.core.state import Ownership
from policies.model import Applied, LastWrite, Reason, Rollout, Unknown

HOUR = 3600.0
RESETS_UNTIL_OBSERVING = 3
WRITE_SETTLES_SECONDS = 60.0
"""A write may show late: until then the count before it is no surprise."""
REMEMBERED_COUNTS = 4
"""Writes in a row, each faster than the reading, after which the oldest would surprise."""


def written(ownership: Ownership, last_write: LastWrite, at: float) -> Ownership:
    """What the outcome of our last write makes credible as the next count.

    The same count written again does not start the clock again: else somebody who resets it before
    each of our readings would look like a slow reading for ever.
    """
    expected = ownership.expected
    match last_write:
        case Applied(desired=int() as desired):
            if expected[:1] == (desired,):
                return ownership._replace(unconfirmed=False)
            counts = (desired, *(count for count in expected if count != desired))
            return ownership._replace(expected=counts[:REMEMBERED_COUNTS], wrote_at=at, unconfirmed=False)
        case Unknown(desired=int() as desired):
            others = (count for count in expected[1:] if count != desired)
            counts = (*expected[:1], desired, *others)
            return ownership._replace(expected=counts[:REMEMBERED_COUNTS], wrote_at=at, unconfirmed=True)
    return ownership


def noticed(ownership: Ownership, desired: int, at: float) -> Ownership:
    """The ownership after seeing `desired`."""
    expected = ownership.expected
    if not expected:
        return ownership._replace(expected=(desired,))
    if ownership.wrote_at > at:  # a clock was set back
        ownership = ownership._replace(wrote_at=at)
    settling = at - ownership.wrote_at < WRITE_SETTLES_SECONDS
    if desired == expected[0]:
        if ownership.confirmed and not ownership.foreign_at and len(expected) == 1:
            return ownership
        undecided = ownership.unconfirmed and settling
        foreign_at = _within_hour(ownership.foreign_at, at)
        counts = expected if undecided else (desired,)
        return Ownership(counts, ownership.wrote_at, undecided, foreign_at, confirmed=True)
    if desired in expected:
        if ownership.unconfirmed and desired == expected[1]:  # the write without an answer has arrived
            return ownership._replace(expected=(desired,), unconfirmed=False, confirmed=True)
        if settling:
            return ownership
    return Ownership(
        expected=(desired,),
        wrote_at=ownership.wrote_at,
        foreign_at=(*_within_hour(ownership.foreign_at, at), at),
        confirmed=False,
    )


def _within_hour(instants: tuple[float, ...], at: float) -> tuple[float, ...]:
    """The younger ones; an instant in the future, before a clock was set back, counts as now."""
    return tuple(min(instant, at) for instant in instants if at - instant < HOUR)


def observes_only(ownership: Ownership, at: float) -> bool:
    """Whether others have reset the size so often that we must not write at all."""
    return len(_within_hour(ownership.foreign_at, at)) >= RESETS_UNTIL_OBSERVING


def undercuts(workers: float, context: Context) -> int | None:
    """The larger size of ours that may still show, and that this way out would lower; or None."""
    expected = context.state.ownership.expected  # more than one of them only while a write settles
    return max(expected) if len(expected) > 1 and context.current < workers < max(expected) else None


def hands_off(context: Context) -> tuple[Reason, str] | None:
    """Why nothing at all is written now, whatever the guards, the bounds included, would want."""
    ownership, capacity = context.state.ownership, context.capacity
    if capacity.contested_by:
        return Reason.CONTESTED, f"observing only: {capacity.contested_by} sets this size too"
    if capacity.rollout is Rollout.FAILED:
        return Reason.DEPLOYMENT_FAILED, "a failed deployment starts no workers"
    if not ownership.foreign_at:
        return None
    if observes_only(ownership, context.at):
        return Reason.FOREIGN_WRITE, "observing only: others set the size three times within an hour"
    if not ownership.confirmed:
        return Reason.FOREIGN_WRITE, f"somebody else set {context.current}; waiting for a second reading"
    return None


@dataclass(frozen=True, slots=True)
class Respect:
    """After a foreign write the way in waits `quiet_seconds`; the way out waits for one more reading."""

    quiet_seconds: float = 300.0

    def __call__(self, proposal: Proposal, context: Context) -> Proposal:
        """At least the current size while a foreign write is fresh, or while our own is in doubt."""
        ownership, current = context.state.ownership, context.current
        if (
            ownership.foreign_at
            and (remaining := self.quiet_seconds - (context.at - ownership.foreign_at[-1])) > 0
        ):
            note = f"somebody else set the size; {remaining:.0f} s of quiet to go"
            return proposal.held_if_less("ownership", current, Reason.FOREIGN_WRITE, note)
        if (written := undercuts(proposal.workers, context)) is not None:
            note = f"{written} was written and may show late; less would be a way in"
            return proposal.to("ownership", written, Reason.WRITE_UNCONFIRMED, note)
        if ownership.unconfirmed:
            note = "the last write got no answer and may be applied late"
            return proposal.held_if_less("ownership", current, Reason.WRITE_UNCONFIRMED, note)
        if len(ownership.expected) > 1 and (written := max(ownership.expected)) > current:
            note = f"{written} was written and may show late"
            return proposal.held_if_less("ownership", current, Reason.WRITE_UNCONFIRMED, note)
        return proposal
