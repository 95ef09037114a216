"""Airflow and its workers on a loopback service: who holds which work, who takes more, who lost it.

The truth of a simulated world: what happened is noted here whatever anybody believes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from autoscaler.demo.ecs.life import BY_SCHEDULER
from autoscaler.demo.ecs.model import RolloutState, Service, Status, Task
from autoscaler.demo.ecs.world import EcsWorld

DELIVERED_WITHIN_SECONDS = 3.0
"""A task that was on its way when a worker stopped taking them still arrives: before the second look."""
LATEST_SECONDS = 75.0
"""A write that came late was made no longer ago, and so was what it undid."""


@dataclass
class Floor:
    """The workers of one service.  `work` brings it up to now; whoever looks or acts calls it first."""

    world: EcsWorld
    chance: Random
    slots: int
    observed: bool
    """Whether the daemon only observes: then nothing must be written."""
    strict: bool
    """Whether workers leave in a way that can lose nothing: the careful one leaves a moment open."""
    lease_seconds: float
    """So long a stopped intake lasts without being told again: the guard's doing."""
    broken: Callable[[str], None]
    """Is told of every violation."""
    queued: int = 0
    ran: int = 0
    held: dict[str, list[float]] = field(default_factory=dict)
    """When each task that a worker holds will end."""
    stopped_until: dict[str, float] = field(default_factory=dict)
    """Workers without intake."""
    flying: dict[str, float] = field(default_factory=dict)
    """Until when a task that is on its way to a stopped worker may arrive."""
    task_seconds: tuple[float, float] = (20.0, 400.0)
    shrunk_by_others: bool = False
    """Somebody else set a size that not all workers fit in, and ECS is still at it."""
    sizes: list[tuple[float, int]] = field(default_factory=list)
    """What was set lately, and when."""
    surprise: tuple[float, int] | None = None
    """When somebody else last set a size that nobody could expect, and which."""
    deployed_at: float = float("-inf")
    """While ECS replaces workers, at somebody's order or for its zones, it may stop any that is bare."""
    _seen: dict[str, Task] = field(default_factory=dict)
    _worked_at: float = float("-inf")

    @property
    def service(self) -> Service:
        return self.world.service()

    @property
    def running(self) -> int:
        return sum(map(len, self.held.values()))

    def stopped(self, arn: str) -> bool:
        """Whether the worker takes nothing new."""
        return self.stopped_until.get(arn, 0.0) > self.world.clock()

    def work(self) -> None:
        """Whatever has ended ends; whoever takes tasks takes what is queued."""
        world, service, now = self.world, self.service, self.world.clock()
        if now == self._worked_at:
            return  # what else happens at one instant shows at the next
        self._worked_at = now
        world.pass_time()
        self._notice(service, now)
        for arn in [arn for arn, task in self._seen.items() if not task.wanted]:
            self._left(self._seen.pop(arn), service, now)
        if len(service.wanted) <= service.desired:
            self.shrunk_by_others = False
        for arn, ends in self.held.items():
            if ends and min(ends) <= now:
                left = [end for end in ends if end > now]
                self.ran += len(ends) - len(left)
                self.held[arn] = left
        if self.queued:
            self._take(now)

    def _notice(self, service: Service, now: float) -> None:
        gone = []
        for key, task in service.tasks.items():
            if task.wanted:
                if task.arn not in self._seen:
                    self._seen[task.arn], self.held[task.arn] = task, []
            elif task.status is Status.STOPPED and task.stopped_at is not None and now - task.stopped_at > 60:
                gone.append(key)
        for key in gone:  # nobody reads of them any more, and looking at them takes time
            if service.tasks[key].arn not in self._seen:
                del service.tasks[key]
        if len(service.deployments) > 1 or service.rebalancing is not None:
            self.deployed_at = now

    def _left(self, task: Task, service: Service, now: float) -> None:
        stopping_at = now if task.stopping_at is None else task.stopping_at
        lost = [end for end in self.held.pop(task.arn, []) if end > stopping_at]
        self.stopped_until.pop(task.arn, None)
        self.flying.pop(task.arn, None)
        self.queued += len(lost)  # they are tried again
        if (
            self.strict
            and lost
            and task.stop_code == BY_SCHEDULER
            and not self._others_doing(service, stopping_at)
            and not self._overtaken(service, stopping_at)
        ):
            self.broken(f"a worker with {len(lost)} tasks was stopped: {task.id[:6]}")

    def _others_doing(self, service: Service, at: float) -> bool:
        replaced = at - self.deployed_at <= 60 or service.primary.state is RolloutState.FAILED
        return self.shrunk_by_others or replaced

    def _overtaken(self, service: Service, at: float) -> bool:
        """Whether a write of ours came late, after somebody else's larger size: ECS compares nothing."""
        if self.surprise is None:
            return False
        surprised_at, desired = self.surprise
        return at - surprised_at <= LATEST_SECONDS and service.desired < desired

    def _take(self, now: float) -> None:
        room = {}
        for arn, task in self._seen.items():
            free = self.slots - len(self.held[arn])
            if free > 0 and task.runs:
                if self.stopped_until.get(arn, 0.0) <= now:
                    room[arn] = free
                elif self.flying.get(arn, 0.0) > now:
                    room[arn] = 1
                    del self.flying[arn]
        takers = [arn for arn, free in room.items() for _ in range(free)]
        self.chance.shuffle(takers)
        for arn in takers[: self.queued]:
            self.held[arn].append(now + self.chance.uniform(*self.task_seconds))
        self.queued = max(0, self.queued - len(takers))

    def stop_intake(self, arn: str) -> None:
        """The worker is told to take nothing new, or told so again."""
        if not self.stopped(arn) and self.chance.random() < 0.5:
            self.flying[arn] = self.world.clock() + DELIVERED_WITHIN_SECONDS
        self.stopped_until[arn] = self.world.clock() + self.lease_seconds

    def resume_intake(self, arn: str) -> None:
        """The worker is told to take tasks again."""
        self.stopped_until.pop(arn, None)

    def released(self, arns: Iterable[str]) -> None:
        """Somebody ends these protections: a worker with work must never lose its own."""
        self.work()
        for arn in arns if self.strict else ():
            if self.held.get(arn):
                self.broken(f"the protection of a busy worker was ended: {arn[-32:-26]}")

    def sized(self, desired: int, *, by_us: bool) -> None:
        """Somebody is about to set the size."""
        self.work()
        service, now = self.service, self.world.clock()
        self.sizes = [(at, size) for at, size in self.sizes if now - at < 600]
        if not by_us and desired not in {service.desired, *(size for _, size in self.sizes)}:
            self.surprise = (now, desired)
        self.sizes += [(now, service.desired), (now, desired)]
        if desired >= service.desired:
            return
        if not by_us:
            self.shrunk_by_others = True
        elif self.strict and not self._others_doing(service, now):
            bare = [arn for arn, ends in self.held.items() if ends and self._seen[arn].protected_until <= now]
            if bare:
                self.broken(f"the size was lowered to {desired} while {len(bare)} busy workers were bare")
