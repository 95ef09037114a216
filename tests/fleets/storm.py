"""Workers with work on the loopback ECS, and bad weather: for runs of the real loop over the real client."""

from dataclasses import dataclass, field
from random import Random

from autoscaler.core.agreement import Intakes, WorkerIntake
from autoscaler.demo.ecs import Fault, LoopbackEcs
from autoscaler.demo.ecs.life import BY_SCHEDULER
from autoscaler.demo.ecs.model import Task
from autoscaler.demo.ecs.world import LEFT_OUT
from autoscaler.fleets.ecs import EcsFleet
from autoscaler.ports import Told
from policies.model import Busy, Capacity, Decision, Demand, LastWrite, Workers

SLOTS = 10
QUEUES = frozenset({"default"})
# Without those that make a client wait in real time.
FOR_WRITES = (
    Fault.APPLY_LATE,
    Fault.RESET_BEFORE,
    Fault.RESET_AFTER,
    Fault.TRUNCATED,
    Fault.EMPTY,
    Fault.THROTTLE,
    Fault.SERVER_ERROR,
    Fault.EXPIRED,
)
FOR_READS = (Fault.TRUNCATED, Fault.EMPTY, Fault.EXPIRED)
READS = ("DescribeServices", "ListTasks", "DescribeTasks", "GetTaskProtection")


@dataclass
class Floor:
    """The workers' side: source, witness and intake in one.  Nothing is late here but ECS."""

    ecs: LoopbackEcs
    chance: Random
    queued: int = 0
    held: dict[str, list[float]] = field(default_factory=dict)
    """When each task that a worker holds will end."""
    stopped: set[str] = field(default_factory=set)
    killed: list[Task] = field(default_factory=list)
    """Workers that ECS's scheduler stopped although they held work."""

    @property
    def tasks(self) -> list[Task]:
        return list(self.ecs.world.service().tasks.values())

    @property
    def running(self) -> int:
        return sum(len(ends) for ends in self.held.values())

    def work(self) -> None:
        """Whatever has ended ends, whoever consumes takes what is queued, least work first."""
        now = self.ecs.world.clock()
        self.ecs.world.advance()
        for task in self.tasks:
            held = self.held[task.arn] = [end for end in self.held.get(task.arn, ()) if end > now]
            if not task.wanted and held:
                if task.stop_code == BY_SCHEDULER:
                    self.killed.append(task)
                self.queued += len(self.held.pop(task.arn))
        takers = [task for task in self.tasks if task.runs and task.arn not in self.stopped]
        while self.queued and (free := [each for each in takers if len(self.held[each.arn]) < SLOTS]):
            taker = min(free, key=lambda each: len(self.held[each.arn]))
            self.held[taker.arn].append(now + self.chance.uniform(20, 200))
            self.queued -= 1

    async def demand(self) -> Demand:
        return Demand(self.queued, self.running, self.ecs.world.clock())

    async def busy(self) -> Busy:
        hosts = {task.host_name: len(self.held.get(task.arn, ())) for task in self.tasks}
        return Busy(hosts, self.ecs.world.clock())

    async def look(self, workers: Workers) -> Intakes:
        alive = {task.arn for task in self.tasks if task.runs}
        said = {
            each: WorkerIntake(
                len(self.held.get(each, ())), 0, frozenset() if each in self.stopped else QUEUES
            )
            for each in alive & set(workers.ids)
        }
        return Intakes(said, self.ecs.world.clock())

    async def apply(self, stopped: frozenset[str], workers: Workers) -> Told:
        self.stopped = (self.stopped - set(workers.ids)) | stopped
        return Told(confirmed=frozenset(workers.ids))


@dataclass
class Hurried:
    """The fleet, with work that is taken up between the reading and the write."""

    fleet: EcsFleet
    floor: Floor

    async def capacity(self, *, list_workers: bool) -> Capacity:
        return await self.fleet.capacity(list_workers=list_workers)

    async def apply(self, decision: Decision) -> LastWrite:
        self.floor.work()
        return await self.fleet.apply(decision)


def weather(ecs: LoopbackEcs, chance: Random, *, rollouts: bool) -> None:
    """One tick's bad luck, or none.

    A deployment is somebody's own order to replace the workers: with no answer and no protection for as long
    as the new ones take to start, nobody can save the old ones' work.  So rollouts come without such luck.
    """
    world, faults, service = ecs.world, ecs.faults, ecs.world.service()
    tasks = service.wanted
    world.lag(chance.choice((0, 0, 8)))
    faults.late_seconds = chance.choice((2.0, 20.0))
    world.refuse_protection([])
    if chance.random() < 0.1:
        faults.inject("UpdateService", chance.choice(FOR_WRITES))
    if not rollouts:
        _about_protection(ecs, chance)
    if chance.random() < 0.03:
        world.refuse_launches(service, 120)
    if chance.random() < 0.03 and tasks:
        chance.choice((world.reclaim, world.retire))(chance.choice(tasks))
    # A second one on top would stop whoever is bare of the first one's, before anybody could know of it.
    if rollouts and len(service.deployments) == 1 and chance.random() < 0.05:
        world.begin_rollout(service, broken=chance.random() < 0.5)


def _about_protection(ecs: LoopbackEcs, chance: Random) -> None:
    faults, tasks = ecs.faults, ecs.world.service().wanted
    if chance.random() < 0.1:
        faults.inject("UpdateTaskProtection", chance.choice((*FOR_WRITES, Fault.ANSWERED_LATE)))
    if chance.random() < 0.1:
        faults.inject(chance.choice(READS), chance.choice(FOR_READS))
    if chance.random() < 0.1 and tasks:
        reason = chance.choice(("TASK_NOT_VALID", "DEPLOYMENT_BLOCKED", LEFT_OUT))
        ecs.world.refuse_protection(chance.sample(tasks, 1), reason)
