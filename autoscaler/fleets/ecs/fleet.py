"""The size of one ECS service of workers: read with care, written absolutely and once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog

from autoscaler.fleets.ecs.answers import (
    capacity_of,
    count,
    document_in,
    older_deployments,
    service_in,
    suitable,
)
from autoscaler.fleets.ecs.calls import Failure, called
from autoscaler.fleets.ecs.clients import EcsClients
from autoscaler.fleets.ecs.contest import Contest
from autoscaler.fleets.ecs.protection import protect, release
from autoscaler.fleets.ecs.sizes import Sizes
from autoscaler.fleets.ecs.workers import workers_of
from autoscaler.ports import FleetError
from policies.model import Applied, Capacity, Decision, LastWrite, Refused, Rollout, Unknown, Workers

log = structlog.get_logger()


class EcsFleet:
    """One ECS service.  `clock` gives Unix seconds.

    `check_seconds`: how often the workers are listed unasked; `contest_seconds`: how often Application
    Auto Scaling is asked; `protection_minutes`: how long a protection lasts unless renewed (1-2880).
    """

    def __init__(
        self,
        clients: EcsClients,
        cluster: str,
        service: str,
        *,
        clock: Callable[[], float],
        check_seconds: float = 60.0,
        contest_seconds: float = 300.0,
        protection_minutes: int = 60,
    ) -> None:
        if not 1 <= protection_minutes <= 2880:
            raise ValueError(f"protection_minutes must be between 1 and 2880, got {protection_minutes}")
        self.cluster = cluster
        self.service = service
        self._clients = clients
        self._clock = clock
        self._check_seconds = check_seconds
        self._protection_minutes = protection_minutes
        self._contest = Contest(clients, cluster, service, contest_seconds)
        self._listed_at = float("-inf")
        self._sizes = Sizes()

    async def capacity(self, *, list_workers: bool) -> Capacity:
        """What the service is now.  Raises `FleetError` if its size is missing or makes no sense.

        Workers that cannot be listed are None: that blocks the way in and leaves the way out free.
        """
        answer = await called(
            "ecs:DescribeServices",
            self._clients.reader.describe_services(cluster=self.cluster, services=[self.service]),
        )
        if isinstance(answer, Failure):
            raise FleetError(f"ECS service {self.cluster}/{self.service}: {answer.why}")
        where = (self.cluster, self.service)
        document = suitable(service_in(answer, *where), *where)
        capacity = capacity_of(document)
        at = self._clock()
        contested_by = await self._contest.contender(at)
        workers = None
        # In a rollout ECS stops workers as soon as new ones run: no tick may be lost until they are seen.
        rolls = capacity.rollout is not Rollout.STEADY
        due = not 0 <= at - self._listed_at < self._check_seconds  # a clock may be set back
        if list_workers or rolls or due:
            workers = await self._workers(at, older_deployments(document))
        self._sizes.note(at, capacity.desired)
        return replace(capacity, workers=workers, contested_by=contested_by)

    async def _workers(self, at: float, older: frozenset[str]) -> Workers | None:
        try:
            workers = await workers_of(self._clients, self.cluster, self.service, older)
        except FleetError as error:
            log.warning("workers_unlisted", cluster=self.cluster, service=self.service, why=str(error))
            return None
        self._listed_at = at
        return workers

    async def apply(self, decision: Decision) -> LastWrite:
        """Protects, then releases, then sets the desired count; see the port.

        While a protection is refused or in doubt nothing is released, and the size is not lowered.
        If this is cancelled (a deadline), whatever was under way may have been done: the caller must
        take the outcome for `Unknown`.  The next reading says what came of it.
        """
        desired = decision.desired
        if desired is not None and desired < 0:
            return Refused(desired, f"a desired count of {desired} makes no sense, expected 0 or more")
        if desired is None and not decision.protected and not decision.released:
            return None
        problem = await self._protections(decision)
        if problem is None:
            return Applied(None) if desired is None else await self._resize(desired)
        log.warning("protection_failed", cluster=self.cluster, service=self.service, why=problem.why)
        if desired is None:
            return (Refused if problem.definite else Unknown)(None, problem.why)
        if self._sizes.may_shrink(desired):
            return Refused(desired, f"not lowered: {problem.why}")
        return await self._resize(desired)

    async def _protections(self, decision: Decision) -> Failure | None:
        clients, cluster = self._clients, self.cluster
        problem = await protect(clients, cluster, decision.protected, self._protection_minutes)
        return problem or await release(clients, cluster, decision.released)

    async def _resize(self, desired: int) -> LastWrite:
        self._sizes.note(self._clock(), desired)
        answer = await called(
            "ecs:UpdateService",
            self._clients.writer.update_service(
                cluster=self.cluster, service=self.service, desiredCount=desired
            ),
        )
        if isinstance(answer, Failure):
            return (Refused if answer.definite else Unknown)(desired, answer.why)
        try:
            confirmed = count(document_in(answer, "service"), "desiredCount")
        except FleetError as error:
            return Unknown(desired, f"UpdateService: {error}")
        if confirmed != desired:
            return Unknown(desired, f"UpdateService: asked for {desired}, the answer says {confirmed}")
        return Applied(desired)
