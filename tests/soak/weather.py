"""What goes wrong and when: drawn from the world's seed, steered to what this world has not met yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from autoscaler.demo.ecs import EcsApi, Fault
from autoscaler.demo.ecs.model import Service, Task
from autoscaler.demo.ecs.world import LEFT_OUT
from policies.orders import Orders, Override, Pause, Way
from tests.soak.floor import Floor
from tests.soak.kinds import CALLS, GROUP_OF, GROUPS, Kind

PAUSES = {Kind.PAUSED: Way.BOTH, Kind.PAUSED_IN: Way.IN, Kind.PAUSED_OUT: Way.OUT}
REFUSALS = {
    Kind.NOT_PROTECTED: "TASK_NOT_VALID",
    Kind.BLOCKED: "DEPLOYMENT_BLOCKED",
    Kind.LEFT_OUT: LEFT_OUT,
}
WRITES = frozenset({"UpdateService", "UpdateTaskProtection"})
GRANTS = ("ecs:DescribeServices", "ecs:ListTasks", "ecs:UpdateService", "ecs:UpdateTaskProtection")
MOST = 12
"""Workers that somebody else may want."""
STAYS_SECONDS = (10.0, 240.0)
"""How long what is no single event goes on."""
UNDONE = frozenset(
    {Fault.THROTTLE, Fault.SERVER_ERROR, Fault.EXPIRED, Fault.RESET_BEFORE, Fault.HANG, Fault.APPLY_LATE}
)


@dataclass
class Weather:
    """One world's bad luck.  `pairs` counts what was met in which state of the protocol."""

    api: EcsApi
    floor: Floor
    chance: Random
    states: Callable[[], Iterable[str]]
    """The states that the daemons are in."""
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    until: dict[Kind, float] = field(default_factory=dict)
    refused: dict[str, Kind] = field(default_factory=dict)
    calls: int = 0
    orders: Orders = Orders()
    """What an operator has ordered."""

    def __post_init__(self) -> None:
        self.api.watch = self._called

    def met(self, kind: str) -> None:
        """It took effect."""
        for state in self.states():
            self.pairs[state, kind] += 1

    def meets(self, kind: Kind) -> bool:
        """Whether it goes on just now; then it is met."""
        if self.until.get(kind, 0.0) <= self.api.world.clock():
            return False
        self.met(kind)
        return True

    def choose(self, kinds: Iterable[str]) -> str:
        """One of two by lot: that which was met less in the states of now."""
        states = list(self.states())
        two = self.chance.sample(sorted(kinds), 2)
        return min(two, key=lambda kind: sum(self.pairs[state, kind] for state in states))

    def strike(self, kind: str) -> None:
        """It happens, or begins."""
        self.floor.work()
        if kind in CALLS:
            group, _, fault = kind.partition(" ")
            operation = self.chance.choice(GROUPS[group])
            self.api.faults.late_seconds = self.chance.choice((2.0, 20.0, 50.0))
            self.api.faults.inject(operation, Fault(fault), self.chance.choice((1, 1, 3)))
            return
        struck = getattr(self, f"_{Kind(kind).name.lower()}", None)
        if struck is None:
            self.until[Kind(kind)] = self.api.world.clock() + self.chance.uniform(*STAYS_SECONDS)
        elif struck(self.floor.service):
            self.met(kind)
        self.floor.work()

    def clear(self) -> None:
        """From now on all goes well."""
        world, service = self.api.world, self.floor.service
        self.api.faults.clear()
        self.api.scalable_targets.deregister()
        world.lag(0)
        world.refuse_protection([])
        self.refused.clear()
        self.until.clear()
        self.orders = Orders()
        service.spec = replace(service.spec, never_starts_share=0.0, zone_rebalancing=False)
        service.refused_until = float("-inf")
        for task in service.wanted:
            if not task.runs:
                world.stop(task)  # what never starts is given up in the end
        if service.primary.broken or service.primary.failed_tasks:
            world.begin_rollout(service)  # somebody repairs what was deployed

    def pass_by(self) -> None:
        """What has had its time ends."""
        now, world = self.api.world.clock(), self.api.world
        over = {kind for kind, until in self.until.items() if until <= now}
        for kind in over:
            del self.until[kind]
        if Kind.LAG in over:
            world.lag(0)
        if Kind.DENIED in over:
            self.api.faults.denied.clear()
        if Kind.CONTESTED in over:
            self.api.scalable_targets.deregister()
        if Kind.NEVER_STARTS in over:
            self.floor.service.spec = replace(self.floor.service.spec, never_starts_share=0.0)
        if over & REFUSALS.keys():
            world.refuse_protection([])
            self.refused.clear()
        if self.floor.service.rebalancing is not None:
            self.met(Kind.REBALANCING)

    def _called(self, operation: str, request: dict[str, Any], fault: Fault | None) -> None:
        floor, world = self.floor, self.api.world
        group = GROUP_OF[operation]
        self.calls += 1
        if floor.observed and operation in WRITES:
            floor.broken(f"{operation} although the daemon only observes")
        if fault is not None:
            self.met(f"{group} {fault.value}")
        if f"ecs:{operation}" in self.api.faults.denied:
            self.met(Kind.DENIED)
        if operation == "UpdateService":
            floor.sizes.append((world.clock(), request["desiredCount"]))  # whatever comes of it
        if fault not in UNDONE and f"ecs:{operation}" not in self.api.faults.denied:
            self._done(operation, request)
        if group == "read" and world.past.most_seconds:
            self.met(Kind.LAG)
        for arn in request["tasks"] if group == "protection" else ():
            if arn in self.refused:
                self.met(self.refused[arn])

    def _done(self, operation: str, request: dict[str, Any]) -> None:
        """The truth is looked at right before."""
        if operation == "UpdateService":
            self.floor.sized(request["desiredCount"], by_us=True)
        elif operation == "UpdateTaskProtection" and not request["protectionEnabled"]:
            self.floor.released(request["tasks"])

    def _going_on(self, kind: Kind, seconds: tuple[float, float] = STAYS_SECONDS) -> None:
        self.until[kind] = self.api.world.clock() + self.chance.uniform(*seconds)

    def _lag(self, _: Service) -> bool:
        self._going_on(Kind.LAG)
        self.api.world.lag(self.chance.choice((2.0, 8.0)))
        return False  # met when somebody reads

    def _denied(self, _: Service) -> bool:
        self._going_on(Kind.DENIED)
        self.api.faults.denied.add(self.chance.choice(GRANTS))
        return False

    def _contested(self, _: Service) -> bool:
        self._going_on(Kind.CONTESTED, (300, 900))
        self.api.scalable_targets.register()
        return True

    def standing(self, at: float) -> Orders | None:
        """What is ordered; a look at it while it stands is a meeting with it."""
        orders = self.orders.standing(at)
        if orders is not None and orders.pause is not None:
            self.met(next(kind for kind, way in PAUSES.items() if way is orders.pause.way))
        if orders is not None and orders.override is not None:
            self.met(Kind.OVERRIDDEN)
        return orders

    def _pause(self, kind: Kind) -> bool:
        now = self.api.world.clock()
        until = now + self.chance.choice((60, 300, 1800))
        self.orders = replace(self.orders, pause=Pause(PAUSES[kind], until, now))
        return False

    def _paused(self, _: Service) -> bool:
        return self._pause(Kind.PAUSED)

    def _paused_in(self, _: Service) -> bool:
        return self._pause(Kind.PAUSED_IN)

    def _paused_out(self, _: Service) -> bool:
        return self._pause(Kind.PAUSED_OUT)

    def _overridden(self, _: Service) -> bool:
        now, least = self.api.world.clock(), self.chance.randint(0, 4)
        most = self.chance.choice((None, least, least + 3))
        self.orders = replace(self.orders, override=Override(least, most, now + 1200, now))
        return False

    def _refuse(self, kind: Kind, service: Service) -> bool:
        self._going_on(kind)
        tasks = self.chance.sample(service.wanted, min(2, len(service.wanted)))
        self.api.world.refuse_protection(tasks, REFUSALS[kind])
        self.refused = {task.arn: kind for task in tasks}
        return False

    def _not_protected(self, service: Service) -> bool:
        return self._refuse(Kind.NOT_PROTECTED, service)

    def _blocked(self, service: Service) -> bool:
        return self._refuse(Kind.BLOCKED, service)

    def _left_out(self, service: Service) -> bool:
        return self._refuse(Kind.LEFT_OUT, service)

    def _no_capacity(self, service: Service) -> bool:
        self.api.world.refuse_launches(service, self.chance.uniform(60, 600))
        return True

    def _never_starts(self, service: Service) -> bool:
        self._going_on(Kind.NEVER_STARTS, (30, 300))
        service.spec = replace(service.spec, never_starts_share=0.5)
        return True

    def _some(self, service: Service, act: Callable[[Task], None]) -> bool:
        tasks = [task for task in service.wanted if task.runs]
        if tasks:
            act(self.chance.choice(tasks))
            self.api.world.advance()
        return bool(tasks)

    def _spot(self, service: Service) -> bool:
        return self._some(service, self.api.world.reclaim)

    def _retired(self, service: Service) -> bool:
        return self._some(service, self.api.world.retire)

    def _exited(self, service: Service) -> bool:
        return self._some(service, lambda task: task.process and task.process.kill())

    def _rollout(self, service: Service) -> bool:
        return self._deploy(service, broken=False)

    def _broken_rollout(self, service: Service) -> bool:
        return self._deploy(service, broken=True)

    def _deploy(self, service: Service, *, broken: bool) -> bool:
        if len(service.deployments) > 1:
            return False
        self.api.world.begin_rollout(service, broken=broken)
        return True

    def _rebalancing(self, service: Service) -> bool:
        service.spec = replace(service.spec, zone_rebalancing=True)
        return False

    def _foreign(self, service: Service, desired: int) -> bool:
        self.floor.sized(desired, by_us=False)
        self.api.world.set_desired(service, desired)
        return True

    def _foreign_out(self, service: Service) -> bool:
        return service.desired < MOST and self._foreign(service, service.desired + self.chance.randint(1, 3))

    def _foreign_in(self, service: Service) -> bool:
        return service.desired > 0 and self._foreign(service, self.chance.randrange(service.desired))
