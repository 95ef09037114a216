"""The loopback ECS itself: services keep their desired count with tasks that launch, run and stop.

Driven by the clock it is given: `advance` does everything that is due.  With pretended tasks and a
clock moved by hand it goes as fast as it is asked.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from random import Random

from autoscaler.demo.ecs.limits import fargate_launches
from autoscaler.demo.ecs.model import Deployment, Service, ServiceSpec, Status, Task
from autoscaler.demo.ecs.placement import victim, zone_for_launch
from autoscaler.demo.ecs.processes import PretendProcess, Processes

STOPPED_TASKS_KEPT = 200
PENDING_AFTER_SHARE = 0.2
"""Of the launch delay: until then a task is PROVISIONING."""

BY_SCHEDULER = "ServiceSchedulerInitiated"
BY_USER = "UserInitiated"
BY_ITSELF = "EssentialContainerExited"
COULD_NOT_START = "TaskFailedToStart"


class EcsWorld:
    """All services, and what one may do to them from outside."""

    def __init__(self, clock: Callable[[], float], seed: int = 0) -> None:
        self.clock = clock
        self.services: dict[tuple[str, str], Service] = {}
        self.processes = Processes()
        self._chance = Random(seed)
        self._now = clock()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = itertools.count()
        self._task_numbers = itertools.count(1)
        self._launches = fargate_launches()
        self._next_launch_at = self._now
        self._closed = False

    def add_service(self, spec: ServiceSpec) -> Service:
        """A service at its desired count, its tasks on their way."""
        now = self.clock()
        deployment = Deployment("ecs-svc/1", primary=True, state="COMPLETED")
        service = Service(spec, spec.desired, now, [deployment])
        self.services[spec.cluster, spec.name] = service
        self.advance()
        return service

    def service(self, name: str = "workers", cluster: str = "demo") -> Service:
        """A service by its names.  Raises `KeyError`."""
        return self.services[cluster, name]

    def advance(self) -> None:
        """Does everything that was due until now; nothing once it is closed."""
        if self._closed:
            return
        now = self.clock()
        self._settle()
        while self._due and self._due[0][0] <= now:
            self._now, _, act = heapq.heappop(self._due)
            act()
            self._settle()
        self._now = max(now, self._now)
        self._settle()

    def at(self, instant: float, act: Callable[[], None]) -> None:
        """Does something when the clock gets there."""
        heapq.heappush(self._due, (instant, next(self._sequence), act))

    def set_desired(self, service: Service, desired: int) -> None:
        """Sets the size; called directly it is a foreign writer."""
        if desired < service.desired:
            service.lowered_at = self.clock()
            self.at(service.lowered_at + service.spec.reaction_seconds, _look_again)
        service.desired = desired
        self.advance()

    def protect(self, service: Service, task: Task, until: float) -> str:
        """Protects a task from scale-in until then; 0 ends it.  Returns why not, or nothing.

        While a service wants fewer tasks than are protected it takes no further protection.
        """
        now = self._now
        if not task.wanted:
            return "TASK_NOT_VALID"
        blocked = service.desired < len(service.protected(now))
        if blocked and until > now and task.protected_until <= now:
            return "DEPLOYMENT_BLOCKED"
        task.protected_until = until
        if until > now:
            self.at(until, _look_again)  # what the protection held up goes on then
        return ""

    def stop(self, task: Task, code: str = BY_USER, reason: str = "Task stopped by user") -> None:
        """Orders a task to stop; a task that the service still wants is replaced."""
        if not task.wanted:
            return
        task.wanted = False
        task.stop_code, task.stopped_reason = code, reason
        task.stopping_at = self._now
        task.status = Status.DEACTIVATING
        delay = self._spec(task).deactivating_seconds
        self.at(self._now + delay, lambda: self._terminate(task))

    def begin_rollout(self, service: Service) -> None:
        """A new deployment; the tasks stay, only what the service says of itself changes."""
        for deployment in service.deployments:
            deployment.primary = False
        number = len(service.deployments) + 1
        service.deployments.insert(0, Deployment(f"ecs-svc/{number}", primary=True, state="IN_PROGRESS"))

    def end_rollout(self, service: Service, *, failed: bool = False) -> None:
        """The deployment is done; a failed one starts no tasks any more."""
        service.deployments[1:] = []
        service.deployments[0].state = "FAILED" if failed else "COMPLETED"
        self.advance()

    def close(self) -> None:
        """Ends every process, at once, and starts none any more."""
        self._closed = True
        self.processes.close()

    def _spec(self, task: Task) -> ServiceSpec:
        return self.services[task.cluster, task.service_name].spec

    def _settle(self) -> None:
        for service in self.services.values():
            for task in list(service.tasks.values()):
                code = task.process.exit_code() if task.process is not None else None
                if code is not None:
                    self._ended(task, code)
            self._reconcile(service)

    def _reconcile(self, service: Service) -> None:
        wanted = service.wanted
        excess = len(wanted) - service.desired
        if excess > 0 and self._now < service.lowered_at + service.spec.reaction_seconds:
            return
        for _ in range(excess):
            pending_first = service.spec.pending_leave_first
            leaving = victim(wanted, self._now, self._chance, pending_first=pending_first)
            if leaving is None:
                return
            self.stop(leaving, BY_SCHEDULER, f"Scaling activity initiated by (service {service.spec.name})")
            wanted.remove(leaving)
        if service.deployments[0].state == "FAILED":
            return
        for _ in range(-excess):
            if not self._launches.take(self._now):
                self._await_launch()
                return
            self._launch(service)

    def _await_launch(self) -> None:
        """Looks again when one more launch is allowed; one look is enough, whoever waits."""
        if self._next_launch_at <= self._now:
            wait = self._launches.seconds_until_next(self._now)
            self._next_launch_at = self._now + wait + 1e-6
            self.at(self._next_launch_at, _look_again)

    def _launch(self, service: Service) -> None:
        spec, chance = service.spec, self._chance
        task = Task(
            id=f"{chance.getrandbits(128):032x}",
            number=next(self._task_numbers),
            cluster=spec.cluster,
            service_name=spec.name,
            zone=zone_for_launch(service.wanted, spec.zones),
            created_at=self._now,
        )
        service.tasks[task.id] = task
        delay = spec.launch_seconds * math.exp(chance.gauss(0, spec.launch_sigma))
        starts = chance.random() >= spec.never_starts_share
        self.at(self._now + delay * PENDING_AFTER_SHARE, lambda: self._pending(task))
        if starts:
            self.at(self._now + delay, lambda: self._start(task))

    def _pending(self, task: Task) -> None:
        if task.wanted:
            task.status = Status.PENDING

    def _start(self, task: Task) -> None:
        if not task.wanted:
            return
        spec = self._spec(task)
        if spec.command is None:
            task.process = PretendProcess()
        else:
            try:
                task.process = self.processes.start(
                    spec.command, {**spec.environment, **_identity(task)}, spec.output
                )
            except OSError as error:
                self.stop(task, COULD_NOT_START, f"CannotStartContainerError: {error}")
                return
        task.status, task.started_at = Status.RUNNING, self._now

    def _terminate(self, task: Task) -> None:
        if task.status is Status.STOPPED:
            return
        if task.process is None:
            self._stopped(task)
            return
        task.status = Status.STOPPING
        task.process.terminate()
        self.at(self._now + self._spec(task).stop_timeout_seconds, lambda: self._kill(task))

    def _kill(self, task: Task) -> None:
        if task.process is not None:
            task.process.kill()

    def _ended(self, task: Task, code: int) -> None:
        assert task.process is not None
        self.processes.reaped(task.process)
        task.process, task.exit_code = None, code
        if task.wanted:
            task.stop_code, task.stopped_reason = BY_ITSELF, "Essential container in task exited"
            task.stopping_at = self._now
        self._stopped(task)

    def _stopped(self, task: Task) -> None:
        task.wanted = False
        task.status, task.stopped_at = Status.STOPPED, self._now
        tasks = self.services[task.cluster, task.service_name].tasks
        stopped = [each.id for each in tasks.values() if each.status is Status.STOPPED]
        for old in stopped[:-STOPPED_TASKS_KEPT]:
            del tasks[old]


def _look_again() -> None:
    """At that instant; looking is done after every event."""


def _identity(task: Task) -> dict[str, str]:
    return {
        "HOSTNAME": task.host_name,
        "ECS_TASK_ID": task.id,
        "ECS_TASK_ARN": task.arn,
        "ECS_TASK_ADDRESS": task.address,
    }
