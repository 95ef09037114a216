"""What the loop needs of the world: a source of demand, a witness of who is busy, a fleet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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
)


class SourceError(Exception):
    """The load could not be read; the message says what, where and what to do.  Never holds a secret."""


class FleetError(Exception):
    """The fleet could not be read; the message says what, where and what to do.  Never holds a secret."""


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
