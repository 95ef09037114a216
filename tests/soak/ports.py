"""The sides of Airflow that a daemon asks: source, witness and intake, with all that may go wrong there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import anyio

from autoscaler.core.agreement import Intakes, WorkerIntake
from autoscaler.ports import IntakeError, SourceError, Told
from policies.model import Busy, Demand, Workers
from tests.soak.floor import Floor
from tests.soak.kinds import Kind
from tests.soak.life import Life

SECRET = "hunter2-never-tell"
QUEUES = frozenset({"default"})
NAN = float("nan")
Answer = TypeVar("Answer")


@dataclass
class Airflow:
    """One daemon's connections.  `meets(kind)` says, and notes, whether something goes wrong just now."""

    floor: Floor
    life: Life
    meets: Callable[[Kind], bool]
    seen_stopped: frozenset[str] = frozenset()
    """As the last look at the intakes said."""
    earlier: list[tuple[Demand, Busy]] = field(default_factory=list)

    async def demand(self) -> Demand:
        """What the metadata database, or StatsD in its place, says of the load."""
        await self.life.breath()
        now = self._noted()
        if self.meets(Kind.DEMAND_FAILS):
            raise SourceError("the database does not answer: connection refused")
        if self.meets(Kind.NO_SCHEDULER):
            raise SourceError("no living scheduler: the newest heartbeat is 600 s old")
        if self.meets(Kind.SOURCE_DEFECT):
            raise ValueError(f"cannot parse postgresql://airflow:{SECRET}@db/airflow")
        if self.meets(Kind.DEMAND_HANGS):
            await anyio.sleep_forever()
        demand, _ = self._past(Kind.DEMAND_LAGS)
        if self.meets(Kind.DEMAND_STALE):
            return Demand(0, 0, now - 100_000)
        if self.meets(Kind.DEMAND_WRONG):
            return self.floor.chance.choice(
                (
                    Demand(NAN, 0, now),
                    Demand(0, float("inf"), now),
                    Demand(-1, 0, now),
                    Demand(0, 0, now + 1e6),
                )
            )
        if self.meets(Kind.DEMAND_PARTIAL):
            return Demand(0, 0, demand.measured_at, whole=False, source="statsd")
        return demand

    async def busy(self) -> Busy:
        """Whom the database knows to hold work."""
        await self.life.breath()
        self._noted()
        if self.meets(Kind.BUSY_FAILS):
            raise SourceError("the database does not answer: statement timeout")
        if self.meets(Kind.BUSY_HANGS):
            await anyio.sleep_forever()
        _, busy = self._past(Kind.BUSY_STALE)
        if self.meets(Kind.BUSY_STRANGE):
            return Busy({**busy.slots_by_host, "ip-192-168-0-1.ec2.internal": 1}, busy.measured_at)
        return busy

    async def look(self, workers: Workers) -> Intakes:
        """What the workers say of themselves."""
        await self._broker()
        floor, asked = self.floor, self._running(workers)
        answers, missing = {}, {}
        for arn in asked:
            if self.meets(Kind.INTAKE_HALF) and floor.chance.random() < 0.5:
                missing[arn] = "no answer"
                continue
            queues = frozenset() if floor.stopped(arn) else QUEUES
            answers[arn] = WorkerIntake(len(floor.held[arn]), 0, queues)
        self.seen_stopped = frozenset(arn for arn, each in answers.items() if not each.queues)
        return Intakes(answers, floor.world.clock(), missing)

    async def apply(self, stopped: frozenset[str], workers: Workers) -> Told:
        """Each worker is told by itself, and may not hear it."""
        await self._broker()
        told, untold = set(), {}
        for arn in self._running(workers):
            order = self.floor.stop_intake if arn in stopped else self.floor.resume_intake
            if arn not in stopped | self.seen_stopped:
                continue
            if self.meets(Kind.INTAKE_LOST):
                untold[arn] = "no answer"
                if self.floor.chance.random() < 0.5:
                    continue
            order(arn)
            told.add(arn)
        self.seen_stopped -= told
        self.life.must_live()
        return Told(frozenset(told), untold)

    async def _broker(self) -> None:
        await self.life.breath()
        self.floor.work()
        if self.meets(Kind.INTAKE_FAILS):
            raise IntakeError("redis://broker:6379: connection refused")
        if self.meets(Kind.INTAKE_HANGS):
            await anyio.sleep_forever()

    def _running(self, workers: Workers) -> list[str]:
        """Those of the listed that really run, in order."""
        held = self.floor.held
        tasks = {task.arn for task in self.floor.service.tasks.values() if task.runs}
        return [arn for arn in workers.ids if arn in held and arn in tasks]

    def _noted(self) -> float:
        """Brings the floor up to now and keeps what is to be seen there, for lagging readings."""
        floor = self.floor
        floor.work()
        now = floor.world.clock()
        by_host = {
            task.host_name: len(floor.held[task.arn])
            for task in floor.service.wanted
            if floor.held.get(task.arn)
        }
        now_seen = Demand(floor.queued, floor.running, now, source="airflow_db"), Busy(by_host, now)
        self.earlier = [each for each in self.earlier if now - each[0].measured_at <= 120]
        self.earlier.append(now_seen)
        return now

    def _past(self, lags: Kind) -> tuple[Demand, Busy]:
        """What is there now, or was at an earlier look."""
        return self.earlier[max(0, len(self.earlier) - 3)] if self.meets(lags) else self.earlier[-1]
