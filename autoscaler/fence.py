"""A fleet and an intake that write only while a lease says so, asked right before each write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from autoscaler.core.agreement import Intakes
from autoscaler.ports import Fleet, Intake, Told
from policies.model import Capacity, Decision, LastWrite, Refused, Workers

Refusal = Callable[[], Awaitable[str]]
"""Why nothing may be written now; empty if it may."""


class FencedFleet:
    """Around any fleet.  The question counts against the write's own deadline."""

    def __init__(self, fleet: Fleet, refusal: Refusal) -> None:
        self._fleet = fleet
        self._refusal = refusal

    async def capacity(self, *, list_workers: bool) -> Capacity:
        return await self._fleet.capacity(list_workers=list_workers)

    async def apply(self, decision: Decision) -> LastWrite:
        writes = decision.desired is not None or decision.protected or decision.released
        if writes and (why := await self._refusal()):
            return Refused(decision.desired, f"not written: {why}")
        return await self._fleet.apply(decision)


class FencedIntake:
    """Around any intake."""

    def __init__(self, intake: Intake, refusal: Refusal) -> None:
        self._intake = intake
        self._refusal = refusal

    async def look(self, workers: Workers) -> Intakes:
        return await self._intake.look(workers)

    async def apply(self, stopped: frozenset[str], workers: Workers) -> Told:
        if why := await self._refusal():
            return Told(unconfirmed=dict.fromkeys(stopped, why))
        return await self._intake.apply(stopped, workers)
