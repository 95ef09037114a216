"""What the loop needs of the world: a source of demand, a witness of who is busy, a fleet."""

from __future__ import annotations

from typing import Protocol

from policies.model import Busy, Capacity, Decision, Demand, LastWrite


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
