"""A fleet that is read for real and never written."""

from __future__ import annotations

import structlog

from autoscaler.ports import Fleet
from policies.model import Capacity, Decision

log = structlog.get_logger()


class DryRun:
    """Around any fleet: writes nothing, and logs once what it would have done, until that changes."""

    def __init__(self, fleet: Fleet, target: str) -> None:
        self._fleet = fleet
        self._target = target
        self._logged: tuple[object, ...] = (None, frozenset(), frozenset())

    async def capacity(self, *, list_workers: bool) -> Capacity:
        return await self._fleet.capacity(list_workers=list_workers)

    async def apply(self, decision: Decision) -> None:
        would = (decision.desired, decision.protected, decision.released)
        if would != self._logged and any(part not in (None, frozenset()) for part in would):
            log.info(
                "would_write",
                target=self._target,
                desired=decision.desired,
                protected=sorted(decision.protected),
                released=sorted(decision.released),
                reason=str(decision.reason),
            )
        self._logged = would
