"""When the worker's task is protected, and when it is let go.  Pure: time is an argument.

Protected is what starts, what works, what worked a moment ago, and what nobody can see into; let go is only
what was seen idle without a break for the whole idle spell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from policies.model import Unavailable


@dataclass(frozen=True, slots=True)
class Work:
    """What the worker was seen to hold."""

    tasks: int
    ended: bool = False
    """Since the last look a task ended, so the worker was not idle in between."""

    @property
    def idle(self) -> bool:
        """Whether it held nothing, now and since the last look."""
        return not self.tasks and not self.ended


@dataclass(frozen=True, slots=True)
class Protection:
    """The task's protection as the agent told it; it ends at `until`, 0: there is none."""

    until: float


class Order(Enum):
    """What shall be done about the protection now."""

    KEEP = "keep"
    PROTECT = "protect"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Rules:
    """How careful the guard is."""

    idle_seconds: float = 60.0
    """So long the worker must be idle before its task is let go."""
    expires_minutes: int = 60
    """A protection's length: as long as nobody renews it, it still stands."""
    start_anyway_seconds: float = 120.0
    """An agent that refuses for so long no longer holds the worker's start up."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What the guard carries from look to look."""

    started_at: float
    until: float = 0.0
    """Our protection ends then, as far as we know; 0: we have none."""
    idle_since: float | None = None
    """None: it is not known to be idle."""
    covered: bool = False
    """Since the worker took up what it does now, a protection was confirmed."""
    ready: bool = False
    """The worker may start; once true, for ever."""


def step(
    rules: Rules, memory: Memory, at: float, work: Work | Unavailable, *, must_hold: bool = False
) -> tuple[Memory, Order]:
    """The next memory and what to do.  `must_hold`: a stopped intake is about to be resumed.

    A worker that takes up work is protected anew, however long we believe a protection to last: somebody
    may have ended it meanwhile.  What works on is renewed when half of the protection is over.
    """
    idle = isinstance(work, Work) and work.idle and not must_hold
    since = (at if memory.idle_since is None else memory.idle_since) if idle else None
    anyway = at - memory.started_at >= rules.start_anyway_seconds
    after = replace(
        memory, idle_since=since, covered=memory.covered and not idle, ready=memory.ready or anyway
    )
    ours, ends_soon = memory.until > at, memory.until - at <= rules.expires_minutes * 60 / 2
    if not after.ready:
        return after, Order.PROTECT
    if since is None:
        return after, Order.KEEP if after.covered and not ends_soon else Order.PROTECT
    if at - since >= rules.idle_seconds:
        return after, Order.RELEASE if ours else Order.KEEP
    return after, Order.PROTECT if ours and ends_soon else Order.KEEP


def protected(memory: Memory, until: float) -> Memory:
    """After the agent confirmed a protection of ours."""
    return replace(memory, until=until, covered=memory.idle_since is None, ready=True)


def released(memory: Memory) -> Memory:
    """After the agent confirmed that ours has ended, or that it is somebody else's now."""
    return replace(memory, until=0.0)


def is_ours(memory: Memory, found: Protection, tolerance_seconds: float = 5.0) -> bool:
    """Whether the protection found is the one that we set; another one is another's to release."""
    return abs(found.until - memory.until) <= tolerance_seconds
