"""What a lagging reading sees: the services as they were some seconds ago."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from random import Random

from autoscaler.demo.ecs.model import Service, Status

Services = Mapping[tuple[str, str], Service]


@dataclass(frozen=True, slots=True)
class View:
    """The services as somebody sees them, and the instant at which they were so."""

    services: Services
    at: float


class Past:
    """Keeps as much of the past as a reading may lag; each reading lags by a chance of its own."""

    def __init__(self, chance: Random) -> None:
        self.most_seconds = 0.0
        """How far a reading may lag; 0: none does."""
        self._chance = chance
        self._kept: deque[View] = deque()
        self._mark: list[tuple[object, ...]] = []

    def note(self, services: Services, at: float) -> None:
        """The services as they are now."""
        if self.most_seconds <= 0:
            self._kept.clear()
            return
        mark = [_mark(service) for service in services.values()]
        if self._kept and mark == self._mark:
            return
        self._mark = mark
        self._kept.append(View({key: _copied(service) for key, service in services.items()}, at))
        while len(self._kept) > 1 and self._kept[1].at <= at - self.most_seconds:
            self._kept.popleft()

    def view(self, services: Services, at: float) -> View:
        """What one reading sees."""
        if not self._kept:
            return View(services, at)
        seen_at = at - self._chance.uniform(0, self.most_seconds)
        older = [kept for kept in self._kept if kept.at <= seen_at]
        return View((older or self._kept)[-1 if older else 0].services, seen_at)


def _mark(service: Service) -> tuple[object, ...]:
    """Whatever a reading shows and can change."""
    return (
        service.desired,
        service.events[0] if service.events else None,
        tuple((each.id, each.state, each.failed_tasks) for each in service.deployments),
        tuple((task.id, task.status, task.wanted, task.protected_until) for task in service.tasks.values()),
    )


def _copied(service: Service) -> Service:
    return replace(
        service,
        # A stopped task changes no more.
        tasks={
            key: task if task.status is Status.STOPPED else copy(task) for key, task in service.tasks.items()
        },
        deployments=[copy(deployment) for deployment in service.deployments],
        events=copy(service.events),
    )
