"""Bugs between the loop and its ports."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio

from autoscaler.loop import TargetLoop
from autoscaler.ports import SourceError
from policies.model import Decision, Demand, LastWrite, Unknown


def forgets_the_lease(loop: TargetLoop) -> None:
    """Once the leader, always the leader."""
    loop.ports = replace(loop.ports, fleet=loop.ports.fleet._fleet)  # type: ignore[attr-defined]


def writes_while_observing(loop: TargetLoop) -> None:
    """Observing is looking, and then doing."""
    loop.ports = replace(loop.ports, fleet=loop.ports.fleet._fleet._fleet)  # type: ignore[attr-defined]


class Chatty:
    """A source that tells an error's own words."""

    def __init__(self, source: Any) -> None:
        self._source = source

    async def demand(self) -> Demand:
        """The load."""
        try:
            found: Demand = await self._source.demand()
        except ValueError as error:
            raise SourceError(str(error)) from None
        return found


def tells_secrets(loop: TargetLoop) -> None:
    """An error's text cannot hurt."""
    loop.ports = replace(loop.ports, source=Chatty(loop.ports.witness))


RETRY_SECONDS = 300.0


class Stubborn:
    """A fleet that owes a write until it was answered."""

    def __init__(self, fleet: Any) -> None:
        self._fleet, self._owed, self._at = fleet, 0, float("inf")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fleet, name)

    async def apply(self, decision: Decision) -> LastWrite:
        """The decision, and what is owed."""
        if decision.desired is None and anyio.current_time() >= self._at:
            decision = replace(decision, desired=self._owed)
        outcome: LastWrite = await self._fleet.apply(decision)
        if decision.desired is not None:
            self._owed, self._at = decision.desired, float("inf")
            if isinstance(outcome, Unknown):
                self._at = anyio.current_time() + RETRY_SECONDS
        return outcome


def retries_a_lower_write(loop: TargetLoop) -> None:
    """What got no answer is written again, when there is time."""
    loop.ports = replace(loop.ports, fleet=Stubborn(loop.ports.fleet))
