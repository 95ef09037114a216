"""What the daemon needs of the world: demand, a witness of who is busy, a fleet, an intake, a lease."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from autoscaler.core.agreement import Intakes
from autoscaler.core.plain import OneLineError
from policies.model import (
    Applied,
    Busy,
    Capacity,
    Decision,
    Demand,
    LastWrite,
    Observation,
    Refused,
    Unknown,
    Workers,
)


class SourceError(OneLineError):
    """The load could not be read; the message says what, where and what to do.  Never holds a secret."""


class FleetError(OneLineError):
    """The fleet could not be read; the message says what, where and what to do.  Never holds a secret."""


class IntakeError(OneLineError):
    """The workers could not be asked or told; the message says what, where and what to do.

    Never holds a secret, nor what a task was given.
    """


class LeaseError(OneLineError):
    """The lease could not be asked; the message says what, where and what to do.  Never holds a secret."""


class LeaseLostError(LeaseError):
    """The lease is not held under that epoch any more, and never will be again."""


class Source(Protocol):
    """Reads one target's load."""

    async def demand(self) -> Demand:
        """The load now.  Raises `SourceError`."""
        ...


class Witness(Protocol):
    """Knows which hosts hold work of one target."""

    async def busy(self) -> Busy:
        """Busy slots by host name.  Raises `SourceError`."""
        ...


class Fleet(Protocol):
    """Reads and sets the size of one worker service."""

    async def capacity(self, *, list_workers: bool) -> Capacity:
        """What the service is now, with its workers if asked (a fleet may list them unasked).

        Raises `FleetError`.
        """
        ...

    async def apply(self, decision: Decision) -> LastWrite:
        """Makes the decision so: protections first, then releases, then the desired count.

        Never raises for what the world did: the outcome says it.  None: there was nothing to write.
        """
        ...


@dataclass(frozen=True, slots=True)
class Told:
    """What became of an intake that was set: the workers that were told something."""

    confirmed: frozenset[str] = frozenset()
    """They said that they do it.  The next look shows whether it is done."""
    unconfirmed: Mapping[str, str] = field(default_factory=dict)
    """The others, and why."""


class Intake(Protocol):
    """Reads and sets which workers take new tasks."""

    async def look(self, workers: Workers) -> Intakes:
        """What each running worker says of itself; whoever did not answer is named, never idle.

        Raises `IntakeError`.
        """
        ...

    async def apply(self, stopped: frozenset[str], workers: Workers) -> Told:
        """Makes it so that of these workers exactly the `stopped` ones take nothing new.

        `stopped` is `Decision.intake_stopped`: absolute and safe to apply twice.  Whoever is in it is told
        to stop, each time anew: a stop is a lease, and telling renews it.  Whoever is not, and was seen to
        consume less than it should at the last look, is told to consume its queues again.
        Raises `IntakeError`; whatever was told before may have been done.
        """
        ...


@dataclass(frozen=True, slots=True)
class Leads:
    """The daemon that asked acts."""

    epoch: int
    """Another at every taking: what was decided under one is not written under the next.

    0 where nobody else wants the lease, and it need not be kept.
    """
    quiet_seconds: float = 0.0
    """For at least so long before, nobody's lease was confirmed."""


@dataclass(frozen=True, slots=True)
class StandsBy:
    """Another daemon acts."""

    leader: str
    """Which one, as far as the lease can say."""


class Lease(Protocol):
    """Held by at most one of several daemons.  All calls may come at the same time."""

    async def acquire(self) -> Leads | StandsBy:
        """Takes the lease if nobody holds it.  Raises `LeaseError`."""
        ...

    async def confirm(self, epoch: int) -> None:
        """Returns if the lease was held under this epoch at some moment since the call; keeps it alive.

        Raises `LeaseLostError`; or `LeaseError`, where it is not known and a later call may tell.
        """
        ...

    async def look(self) -> str:
        """Who holds it, as far as can be said; empty: nobody.  Takes nothing.  Raises `LeaseError`."""
        ...

    async def release(self) -> None:
        """Gives up what is held, within seconds, and never raises.  No write may be in flight."""
        ...


@dataclass(frozen=True, slots=True)
class Tick:
    """One look and what was decided on it."""

    target: str
    observation: Observation
    decision: Decision
    read_seconds: float
    """How long the reading took."""


class Listener(Protocol):
    """Is told what the loop does.  Returns at once and never raises, but for `decided`."""

    def decided(self, tick: Tick) -> None:
        """A decision was made; its write, if any, comes next.

        May raise where a policy of the user's answered what cannot be told: then the target holds.
        """
        ...

    def wrote(self, target: str, outcome: Applied | Refused | Unknown, seconds: float) -> None:
        """A write ended."""
        ...

    def skipped(self, target: str, ticks: int) -> None:
        """A tick took so long that others were left out."""
        ...

    def failed(self, target: str, why: str) -> None:
        """A defect was caught; the target holds."""
        ...

    def untold(self, target: str, why: str) -> None:
        """Workers could not be told whether to take tasks; the next look shows who does."""
        ...
