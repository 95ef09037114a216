"""The service scheduler: keeps services at their desired count, with the deployment that shall be."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor
from random import Random

from autoscaler.demo.ecs import rollout
from autoscaler.demo.ecs.agenda import Agenda
from autoscaler.demo.ecs.life import BY_SCHEDULER, TaskLife
from autoscaler.demo.ecs.model import RolloutState, Service, Task
from autoscaler.demo.ecs.placement import imbalance, in_fullest_zone, victim, zone_for_launch

REFUSAL_RETRY_SECONDS = 30.0
IMBALANCE = 2
"""A difference of one between zones is balance."""


class Scheduler:
    """Starts and stops tasks until a service is as it shall be."""

    def __init__(self, agenda: Agenda, chance: Random, life: TaskLife) -> None:
        self._agenda = agenda
        self._chance = chance
        self._life = life

    def reconcile(self, service: Service) -> None:
        """Brings a service as far as it can be brought now."""
        if _is_settled(service):
            return
        self._rebalanced(service)
        # A rollout that is over or given up changes what is wanted.
        while True:
            self._shrink(service)
            self._grow(service)
            if not rollout.moved_on(service, self._agenda.now):
                break
        self._rebalance(service)

    def _shrink(self, service: Service) -> None:
        spec, now = service.spec, self._agenda.now
        if now < service.lowered_at + spec.reaction_seconds:
            return
        new, old = _generations(service)
        if service.primary.state is RolloutState.FAILED:
            self._take(service, new + old, len(new) + len(old) - service.desired)
            return
        self._take(service, new, len(new) - service.desired - (service.rebalancing is not None))
        waiting = [task for task in old if not task.runs]
        self._take(service, waiting, len(waiting))
        healthy = sum(task.runs for task in new + old)
        least = ceil(service.desired * spec.minimum_healthy_percent / 100)
        self._take(service, [task for task in old if task.runs], healthy - least)

    def _take(self, service: Service, tasks: Sequence[Task], number: int) -> None:
        left, spec = list(tasks), service.spec
        for _ in range(number):
            leaving = victim(
                left, self._agenda.now, self._chance, pending_first=spec.silence.pending_leave_first
            )
            if leaving is None:
                return
            reason = f"Scaling activity initiated by (service {spec.name})"
            self._life.stop(leaving, BY_SCHEDULER, reason)
            left.remove(leaving)

    def _grow(self, service: Service) -> None:
        if service.primary.state is RolloutState.FAILED:
            return
        new, old = _generations(service)
        missing = service.desired - len(new) + (service.rebalancing is not None)
        if old:
            most = floor(service.desired * service.spec.maximum_percent / 100)
            missing = min(missing, most - len(new) - len(old))
        if missing > 0 and self._refused(service):
            return
        for _ in range(missing):
            if self._life.launch(service, zone_for_launch(service.wanted, service.spec.zones)) is None:
                return

    def _refused(self, service: Service) -> bool:
        """Whether Fargate has no room; said once for each try."""
        now = self._agenda.now
        if now >= service.refused_until:
            return False
        if not service.events or service.events[0].at + REFUSAL_RETRY_SECONDS <= now:
            service.say(
                now,
                "was unable to place a task. Reason: Capacity is unavailable at this time. "
                "Please try again later or in a different availability zone.",
            )
            self._agenda.look_at(min(service.refused_until, now + REFUSAL_RETRY_SECONDS))
        return True

    def _rebalance(self, service: Service) -> None:
        """One task more in the emptiest zone, once the service is steady and its zones are uneven."""
        spec, tasks = service.spec, service.wanted
        if (
            not spec.zone_rebalancing
            or service.rebalancing is not None
            or spec.maximum_percent <= 100
            or len(service.deployments) > 1
            or len(tasks) != service.desired
            or not all(task.runs for task in tasks)
            or imbalance(tasks, spec.zones) < IMBALANCE
            or self._for_balance(service, tasks) is None
            or self._refused(service)
        ):
            return
        service.rebalancing = self._life.launch(service, zone_for_launch(tasks, spec.zones))
        service.say(self._agenda.now, "is not AZ balanced. AZ Rebalancing in progress.")

    def _rebalanced(self, service: Service) -> None:
        """The new task runs, or will not: one of the fullest zone goes for it."""
        extra = service.rebalancing
        if extra is None or (extra.wanted and not extra.runs):
            return
        service.rebalancing = None
        tasks = [task for task in service.wanted if task is not extra]
        if extra.runs and len(tasks) >= service.desired:
            leaving = self._for_balance(service, tasks)
            if leaving is not None:
                self._life.stop(leaving, BY_SCHEDULER, f"AZ rebalancing by (service {service.spec.name})")

    def _for_balance(self, service: Service, tasks: Sequence[Task]) -> Task | None:
        spared = service.spec.silence.rebalancing_spares_protected
        crowded = in_fullest_zone(tasks)
        return victim(crowded, self._agenda.now, self._chance, pending_first=False, spares_protected=spared)


def _is_settled(service: Service) -> bool:
    """Whether nothing is to be done, which is nearly always so: one look at each task is enough then."""
    if len(service.deployments) > 1 or service.rebalancing is not None or service.spec.zone_rebalancing:
        return False
    return service.primary.state is RolloutState.COMPLETED and len(service.wanted) == service.desired


def _generations(service: Service) -> tuple[list[Task], list[Task]]:
    """(of the primary deployment, of older ones)."""
    wanted, primary = service.wanted, service.primary
    new = [task for task in wanted if task.deployment is primary]
    return new, [task for task in wanted if task.deployment is not primary]
