"""Bugs between the loop and its ports."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from autoscaler.loop import TargetLoop
from autoscaler.ports import SourceError
from policies.model import Demand


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
