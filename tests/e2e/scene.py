"""Everything that runs while the story is told."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from autoscaler.demo.children import Children
from tests.e2e.airflow import Airflow, Release, running_airflow
from tests.e2e.daemon import SLOTS, Daemon, Places
from tests.e2e.fleet import Fleet, running_fleet
from tests.e2e.verdict import Counts


@dataclass(frozen=True)
class Run:
    """One way of the fleet from its minimum out and back."""

    name: str
    start: float
    """Unix seconds."""
    end: float
    configuration: str
    """The daemon's."""
    counts: Counts
    worker_seconds: float
    launches: tuple[float, ...]
    """Seconds from the order of a worker until it took tasks."""


@dataclass
class Scene:
    """Airflow, its workers, and the daemon that sizes them."""

    airflow: Airflow
    fleet: Fleet
    daemon: Daemon
    started_at: float
    runs: list[Run] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def say(self, what: str) -> None:
        """A line of the story."""
        print(f"{time.time() - self.started_at:6.1f} s  {what}", flush=True)

    def check(self, holds: object, what: str) -> None:
        """Says whether something is as it must be, and remembers if it is not."""
        self.say(f"{'ok  ' if holds else 'FAIL'}  {what}")
        if not holds:
            self.failures.append(what)


@asynccontextmanager
async def running_scene(
    children: Children, folder: Path, programs: Path, release: Release, started_at: float
) -> AsyncIterator[Scene]:
    """All of it but the daemon, which the story starts."""
    async with (
        running_airflow(children, folder, programs, release, SLOTS) as airflow,
        running_fleet(airflow, folder, programs) as fleet,
    ):
        reader = await airflow.reader_url()
        places = Places(reader, airflow.broker.url, fleet.ecs.url, airflow.statsd_port)
        daemon = Daemon(children, folder, places)
        try:
            yield Scene(airflow, fleet, daemon, started_at)
        finally:
            with anyio.CancelScope(shield=True):
                await daemon.stop()
