"""The loopback ECS itself: services keep their desired count with tasks that launch, run and stop.

Driven by the clock it is given: `advance` does everything that is due.  With pretended tasks and a
clock moved by hand it goes as fast as it is asked.  Everything random comes from the seed; readings have
a chance of their own, so that looking changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import Random

from autoscaler.demo.ecs import rollout
from autoscaler.demo.ecs.agenda import Agenda
from autoscaler.demo.ecs.life import (
    BY_RETIREMENT,
    BY_SPOT,
    BY_USER,
    StartProcess,
    TaskLife,
    pretended,
)
from autoscaler.demo.ecs.model import Deployment, RolloutState, Service, Task
from autoscaler.demo.ecs.past import Past, View
from autoscaler.demo.ecs.scheduler import Scheduler
from autoscaler.demo.ecs.spec import ServiceSpec

SPOT_NOTICE_SECONDS = 120.0
LEFT_OUT = "LEFT_OUT"
"""No reason of AWS's: the task is neither among the protected ones nor among the failures."""


class EcsWorld:
    """All services, and what one may do to them from outside."""

    def __init__(
        self, clock: Callable[[], float], seed: int = 0, start_process: StartProcess = pretended
    ) -> None:
        self.clock = clock
        self.services: dict[tuple[str, str], Service] = {}
        self.past = Past(Random(f"{seed} readings"))
        self._chance = Random(seed)
        self._agenda = Agenda(clock())
        self._life = TaskLife(self._agenda, self._chance, start_process)
        self._scheduler = Scheduler(self._agenda, self._chance, self._life)
        self._protection_refusals: dict[str, str] = {}
        self._closed = False

    def add_service(self, spec: ServiceSpec) -> Service:
        """A service at its desired count, its tasks on their way."""
        now = self.clock()
        deployment = Deployment("ecs-svc/1", 1, now, RolloutState.COMPLETED)
        service = Service(spec, spec.desired, now, [deployment])
        self.services[spec.cluster, spec.name] = service
        self.advance()
        return service

    def service(self, name: str = "workers", cluster: str = "demo") -> Service:
        """A service by its names.  Raises `KeyError`."""
        return self.services[cluster, name]

    @property
    def next_at(self) -> float:
        """When something happens by itself; infinite if nothing will."""
        return self._agenda.next_at

    def advance(self) -> None:
        """Does everything that was due until now; nothing once it is closed."""
        if self._closed:
            return
        self._settle()
        for _ in self._agenda.passing(self.clock()):
            self._settle()
        self._settle()

    def pass_time(self) -> None:
        """As `advance`, in a fraction of its time: that a process has ended by itself is not noticed."""
        if self._agenda.next_at <= self.clock():
            self.advance()
        else:
            self._agenda.now = max(self._agenda.now, self.clock())

    def at(self, instant: float, act: Callable[[], None]) -> None:
        """Does something when the clock gets there."""
        self._agenda.at(instant, act)

    def present(self) -> View:
        """The services as they are."""
        return View(self.services, self.clock())

    def lag(self, most_seconds: float) -> None:
        """From now on each reading is up to so many seconds old."""
        self.past.most_seconds = most_seconds
        self.past.note(self.services, self._agenda.now)

    def lagging(self) -> View:
        """The services as the next reading sees them."""
        return self.past.view(self.services, self.clock())

    def set_desired(self, service: Service, desired: int) -> None:
        """Sets the size; called directly it is a foreign writer."""
        if desired < service.desired:
            service.lowered_at = self.clock()
            self._agenda.look_at(service.lowered_at + service.spec.reaction_seconds)
        service.desired = desired
        self.advance()

    def protect(self, service: Service, task: Task, until: float) -> str:
        """Protects a task from scale-in until then; 0 ends it.  Returns why not, or nothing.

        While a service wants fewer tasks than are protected it takes no further protection.
        """
        now = self._agenda.now
        if not task.wanted:
            return "TASK_NOT_VALID"
        if refusal := self._protection_refusals.get(task.id):
            return refusal
        blocked = service.desired < len(service.protected(now))
        bare = task.protected_until <= now
        if blocked and until > now and (bare or service.spec.silence.renewals_blocked):
            return "DEPLOYMENT_BLOCKED"
        task.protected_until = until
        if until > now:
            self._agenda.look_at(until)  # what the protection held up goes on then
        return ""

    def refuse_protection(self, tasks: Collection[Task], reason: str = "TASK_NOT_VALID") -> None:
        """These tasks' protection can be neither set nor ended; the latest call counts, none ends it."""
        self._protection_refusals = {task.id: reason for task in tasks}

    def stop(self, task: Task, reason: str = "Task stopped by user") -> None:
        """StopTask: a task that the service still wants is replaced."""
        self._life.stop(task, BY_USER, reason)

    def reclaim(self, task: Task) -> None:
        """Spot takes the task's capacity back, protected or not, with a notice of two minutes."""
        notice_seconds = 0.0 if task.spec.silence.spot_notice_is_sigterm else SPOT_NOTICE_SECONDS
        self._life.stop(task, BY_SPOT, "Your Spot Task was interrupted.", notice_seconds)
        self.advance()

    def retire(self, task: Task) -> None:
        """Fargate retires what the task runs on, protected or not."""
        reason = "ECS is performing maintenance on the underlying infrastructure hosting the task."
        self._life.stop(task, BY_RETIREMENT, reason)
        self.advance()

    def refuse_launches(self, service: Service, seconds: float) -> None:
        """Fargate has no capacity for the service for so long; its events say so."""
        service.refused_until = self.clock() + seconds
        self._agenda.look_at(service.refused_until)
        self.advance()

    def begin_rollout(self, service: Service, *, broken: bool = False) -> Deployment:
        """Somebody deploys the next revision; a broken one's tasks do not start."""
        deployment = rollout.begin(service, self.clock(), broken=broken)
        self.advance()
        return deployment

    def close(self) -> None:
        """Nothing is started or stopped any more."""
        self._closed = True

    def _settle(self) -> None:
        for service in self.services.values():
            self._life.follow(service)
            self._scheduler.reconcile(service)
        self.past.note(self.services, self._agenda.now)
