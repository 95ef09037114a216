"""The whole daemon in a simulated world: its own class, settings, loop, telemetry and fleet code."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from starlette.types import ASGIApp

from autoscaler.daemon import Daemon, Surroundings
from autoscaler.fleets.dry_run import DryRun
from autoscaler.fleets.ecs import EcsClients, EcsFleet
from autoscaler.loop import Ports, TargetLoop
from autoscaler.ports import Fleet, Lease
from autoscaler.settings import Mode, RemovalMode, Settings
from autoscaler.sources.fallback import Fallback, NamedSource
from autoscaler.wiring import Wired
from policies.orders import Orders
from tests.soak.life import Death, Life
from tests.soak.ports import Airflow
from tests.soak.profile import NAME


class Simulated(Daemon):
    """The daemon, with whoever watches it between its loop and its controller."""

    def __init__(
        self,
        settings: Settings,
        reload: Callable[[], Settings],
        around: Surroundings,
        watched: Callable[[TargetLoop], TargetLoop],
    ) -> None:
        super().__init__(settings, reload, around)
        self._watched = watched
        self.loop: TargetLoop | None = None
        self.minimum = -1
        """What its target may shrink to, by the configuration that it runs; -1: it does not run yet."""

    def _loop(self, name: str, settings: Settings, ports: Ports, epoch: int) -> TargetLoop:
        self.minimum = settings.targets[NAME].minimum
        self.loop = self._watched(super()._loop(name, settings, ports, epoch))
        return self.loop


@dataclass
class Process:
    """One run of a daemon, from its start to its end."""

    settings: Settings
    reload: Callable[[], Settings]
    clock: Callable[[], float]
    clients: Callable[[Life], AbstractAsyncContextManager[EcsClients]]
    airflow: Callable[[Life], Airflow]
    watched: Callable[[TargetLoop], TargetLoop]
    orders: Callable[[float], Orders | None]
    lease: Callable[[Life], Lease]

    def __post_init__(self) -> None:
        self.life = Life()
        self._send, self._receive = anyio.create_memory_object_stream[signal.Signals](8)
        around = Surroundings(
            self.clock, self._signals, self._wired, _nobody_reads, lambda _: self.lease(self.life)
        )
        self.daemon = Simulated(self.settings, self.reload, around, self.watched)

    def send(self, number: signal.Signals) -> None:
        """As `kill` does; ignored if it is about to end anyway."""
        if self._send.statistics().current_buffer_used < 8:
            self._send.send_nowait(number)

    async def run(self) -> None:
        """Until it is told to stop, or dies."""
        with self._send, self._receive:
            try:
                await self.daemon.run()
            except* Death:
                pass

    @contextmanager
    def _signals(self) -> Iterator[AsyncIterator[signal.Signals]]:
        yield self._receive

    @asynccontextmanager
    async def _wired(self, settings: Settings, clock: Callable[[], float]) -> AsyncIterator[Wired]:
        async with self.clients(self.life) as clients:
            yield Wired({NAME: self._ports(settings, clients, clock)}, {})

    def _ports(self, settings: Settings, clients: EcsClients, clock: Callable[[], float]) -> Ports:
        target, airflow = settings.targets[NAME], self.airflow(self.life)
        fleet: Fleet = EcsFleet(
            clients,
            target.cluster,
            target.service,
            clock=clock,
            check_seconds=target.list_every_seconds,
            protection_minutes=target.protection_minutes,
        )
        observes = settings.mode is Mode.OBSERVE
        deadline = 0.95 * target.read_deadline_seconds
        source = Fallback(
            [NamedSource("airflow_db", airflow, 60.0, deadline)], deadline_seconds=deadline, clock=clock
        )
        intake = None if observes or target.removal.mode is RemovalMode.CAREFUL else airflow
        return Ports(source, DryRun(fleet, NAME) if observes else fleet, airflow, intake, self.orders)


@asynccontextmanager
async def _nobody_reads(_app: ASGIApp, _host: str, _port: int) -> AsyncIterator[str]:
    yield "http://simulated"


def state_of(process: Process) -> Any:
    """What the daemon's controller remembers; None before its first look."""
    loop = process.daemon.loop
    return None if loop is None or process.life.dead else loop.memory.state
