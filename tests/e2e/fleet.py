"""The worker service: real `airflow celery worker` processes as the tasks of a loopback ECS."""

import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from autoscaler.demo.children import DemoError
from autoscaler.demo.ecs import LoopbackEcs, ServiceSpec, running_ecs
from autoscaler.demo.ecs.model import Status, Task
from tests.e2e.airflow import Airflow
from tests.e2e.daemon import CLUSTER, MIN_WORKERS, SERVICE, SLOTS
from tests.e2e.verdict import marks_in
from tests.e2e.waiting import until

LAUNCH_SECONDS = 1.0
STOP_TIMEOUT_SECONDS = 25.0
"""From SIGTERM to SIGKILL: an idle worker needs five seconds, and more on a busy machine."""
READY_SECONDS = 180.0


@dataclass
class Fleet:
    """The service, seen from where its workers are."""

    ecs: LoopbackEcs
    log: Path
    """What all workers print."""
    launches: list[float] = field(default_factory=list)
    """Seconds from the order until it took tasks, of each worker that was waited for since the last clear."""
    _ready: set[str] = field(default_factory=set)

    @property
    def tasks(self) -> list[Task]:
        """All workers there ever were, oldest first."""
        return list(self.ecs.world.service(SERVICE, CLUSTER).tasks.values())

    @property
    def desired(self) -> int:
        return self.ecs.world.service(SERVICE, CLUSTER).desired

    @property
    def staying(self) -> list[Task]:
        """Workers that were not told to stop."""
        return [task for task in self.tasks if task.wanted]

    @property
    def killed(self) -> list[Task]:
        """Workers that did not end by themselves."""
        return [task for task in self.tasks if task.status is Status.STOPPED and task.exit_code]

    def ready(self) -> list[Task]:
        """Workers that have begun to take tasks, and stay."""
        said = self.log.read_text(errors="replace") if self.log.exists() else ""
        return [task for task in self.staying if f"celery@{task.host_name} ready" in said]

    def worker_seconds(self, start: float, end: float) -> float:
        """How long workers ran between two Unix times, all together."""
        return sum(
            max(0.0, min(end, task.stopped_at or end) - max(start, task.started_at))
            for task in self.tasks
            if task.started_at is not None
        )

    async def until_ready(self, workers: int) -> None:
        """Waits for so many workers that take tasks."""

        async def ready() -> bool:
            self._measure(found := self.ready())
            return len(found) >= workers

        if not await until(ready, READY_SECONDS):
            raise DemoError(f"{workers} workers were not ready within {READY_SECONDS:g} s: see {self.log}")

    def _measure(self, ready: list[Task]) -> None:
        for task in ready:
            if task.id not in self._ready:
                self._ready.add(task.id)
                self.launches.append(time.time() - task.created_at)

    def set_desired(self, workers: int) -> None:
        """As somebody else than the daemon would."""
        self.ecs.world.set_desired(self.ecs.world.service(SERVICE, CLUSTER), workers)

    def alive(self, run: str, marks: Path) -> bool:
        """Whether a task of the run has not ended, and its worker has not either."""
        gone = {task.host_name for task in self.tasks if task.status is Status.STOPPED}
        held = Counter[str]()
        for mark in marks_in(marks):
            if mark["task"].split()[1] == run and mark["host"] not in gone:
                held[mark["task"]] += 1 if mark["what"] == "begin" else -1
        return any(held.values())

    async def until_settled(self) -> None:
        """Waits until nobody is on the way in or out."""

        async def settled() -> bool:
            return all(task.status in {Status.RUNNING, Status.STOPPED} for task in self.tasks)

        if not await until(settled, READY_SECONDS):
            raise DemoError(f"the fleet did not settle within {READY_SECONDS:g} s")


@asynccontextmanager
async def running_fleet(airflow: Airflow, folder: Path, programs: Path) -> AsyncIterator[Fleet]:
    """The service at its minimum, its first worker on its way."""
    worker = f"{programs}/airflow celery worker --concurrency {SLOTS} --celery-hostname celery@$HOSTNAME"
    quiet = "--skip-serve-logs --without-gossip --without-mingle"
    log = folder / "workers.log"
    spec = ServiceSpec(
        name=SERVICE,
        cluster=CLUSTER,
        desired=MIN_WORKERS,
        command=("/bin/sh", "-c", f"exec {worker} {quiet}"),
        environment=airflow.environment,
        output=log,
        launch_seconds=LAUNCH_SECONDS,
        launch_sigma=0.0,
        stop_timeout_seconds=STOP_TIMEOUT_SECONDS,
    )
    async with running_ecs(spec) as ecs:
        yield Fleet(ecs, log)
