"""Sets the stage, plays the script on it, and watches what the fleet does."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from autoscaler.demo.children import DemoError, children, own_environment
from autoscaler.demo.ecs import LoopbackEcs, ServiceSpec, running_ecs
from autoscaler.demo.ecs.model import Service, Status
from autoscaler.demo.load import Airflow, Fate, playing_airflow
from autoscaler.demo.postgres import running_postgres
from autoscaler.demo.real_daemon import CLUSTER, SERVICE, RealDaemon, running_daemon
from autoscaler.demo.script import Arrival, Script
from autoscaler.demo.story import Sample, Story, WorkerState, WorkerView
from autoscaler.demo.worker import DATABASE_VARIABLE, SLOTS_VARIABLE

SAMPLE_SECONDS = 0.25
READY_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 60.0
"""From SIGTERM to SIGKILL: long enough for any task of a script to end."""

_STATES = {
    Status.PROVISIONING: WorkerState.PENDING,
    Status.PENDING: WorkerState.PENDING,
    Status.RUNNING: WorkerState.RUNNING,
    Status.DEACTIVATING: WorkerState.STOPPING,
    Status.STOPPING: WorkerState.STOPPING,
}

Say = Callable[[str], None]
Show = Callable[[Story], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A play that went to its end."""

    story: Story
    fates: Sequence[Fate]
    sizes: Sequence[int]
    """The service's desired count at the start, and every one that was set since."""
    worker_seconds: float
    """How long workers ran, all together."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs."""

    airflow: Airflow
    ecs: LoopbackEcs
    daemon: RealDaemon

    @property
    def service(self) -> Service:
        """The service of workers."""
        return self.ecs.world.service(SERVICE, CLUSTER)

    async def look(self, seconds: float) -> Sample:
        """What is true now: not as the daemon sees it, but where it happens."""
        load = await self.airflow.load()
        return Sample(
            seconds=seconds,
            queued=load.queued,
            running=load.running,
            finished=load.finished,
            desired=self.service.desired,
            workers=tuple(
                WorkerView(task.host_name, _STATES[task.status], load.busy_slots.get(task.host_name, 0))
                for task in self.service.tasks.values()
                if task.status in _STATES
            ),
        )

    async def ready(self, script: Script) -> None:
        """Returns once the fleet stands at its minimum and the daemon decides.  Raises `DemoError`."""
        choices = 0
        with anyio.move_on_after(READY_SECONDS):
            while not choices or self.service.count(Status.RUNNING) < script.min_workers:
                choices += len(await self.daemon.news())
                await anyio.sleep(SAMPLE_SECONDS)
            return
        waits_for = "a decision of the daemon" if not choices else "the first worker"
        raise DemoError(f"{waits_for} did not come within {READY_SECONDS:g} s")


async def play(script: Script, seed: int, say: Say, show: Show) -> Outcome:
    """The whole demonstration; when it ends, however it ends, nothing is left of it.

    `say` is told what is being set up, `show` gets the story as it grows.  Raises `DemoError`, alone or
    within an exception group.
    """
    arrivals = script.arrivals(seed)
    async with staged(script, seed, say) as stage:
        await stage.ready(script)
        story = Story(script, len(arrivals), time.time())
        started = anyio.current_time()
        async with anyio.create_task_group() as group:
            group.start_soon(_queue_in_time, stage.airflow, arrivals, started)
            while not story.over:
                sample = await stage.look(anyio.current_time() - started)
                story.add(sample, await stage.daemon.news())
                show(story)
                await anyio.sleep(SAMPLE_SECONDS)
            group.cancel_scope.cancel()
        return Outcome(
            story, await stage.airflow.fates(), _sizes(stage.ecs, script), _worker_seconds(stage.service)
        )


@asynccontextmanager
async def staged(script: Script, seed: int, say: Say) -> AsyncIterator[Stage]:
    """Database, scheduler, ECS with its workers, and the daemon; all gone at the end."""
    async with AsyncExitStack() as stack:
        stack.enter_context(own_environment())
        folder = stack.enter_context(_temporary_folder())
        starter = stack.enter_context(children())
        say("starting PostgreSQL with Airflow's tables")
        url = await stack.enter_async_context(running_postgres(starter, folder / "postgres"))
        airflow = await stack.enter_async_context(playing_airflow(url))
        say("starting a loopback ECS whose tasks are processes")
        ecs = await stack.enter_async_context(running_ecs(_service(script, url), seed=seed))
        say("starting the daemon")
        daemon = await stack.enter_async_context(running_daemon(starter, folder, script, url, ecs.url))
        say("waiting for the first worker and the first decision")
        yield Stage(airflow, ecs, daemon)


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="autoscaler-demo-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL may run as another user, who can enter but not look around
        yield folder


def _service(script: Script, database_url: str) -> ServiceSpec:
    slots = str(script.slots_per_worker)
    return ServiceSpec(
        name=SERVICE,
        cluster=CLUSTER,
        desired=script.min_workers,
        command=(sys.executable, "-m", "autoscaler.demo.worker"),
        environment={DATABASE_VARIABLE: database_url, SLOTS_VARIABLE: slots},
        worker_environment={SLOTS_VARIABLE: slots},
        launch_seconds=script.launch_seconds,
        stop_timeout_seconds=STOP_TIMEOUT_SECONDS,
    )


async def _queue_in_time(airflow: Airflow, arrivals: Sequence[Arrival], started: float) -> None:
    left = list(arrivals)
    while left:
        await anyio.sleep_until(started + left[0].at_seconds)
        due = [arrival for arrival in left if started + arrival.at_seconds <= anyio.current_time()]
        await airflow.queue(due)
        del left[: len(due)]


def _sizes(ecs: LoopbackEcs, script: Script) -> list[int]:
    written = [call for call in ecs.calls if call.operation == "UpdateService" and call.outcome == "ok"]
    return [script.min_workers, *(call.request["desiredCount"] for call in written)]


def _worker_seconds(service: Service) -> float:
    now = time.time()
    return sum(
        (task.stopped_at or now) - task.started_at
        for task in service.tasks.values()
        if task.started_at is not None
    )
