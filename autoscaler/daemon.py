"""The daemon's life: start, run, reload on SIGHUP, end on SIGTERM.

A reload is a new generation: the loops end between two ticks, the adapters are built anew from the
checked configuration, and every target goes on with what it remembered, unless it is given another
service or other queues: then it starts like a new one.  A configuration that is
wrong or cannot be wired is refused, and the old one runs on.  Where several daemons share a lease, a
generation stands by until it leads; the lease outlives a reload.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    ExitStack,
    contextmanager,
)
from dataclasses import dataclass, replace
from functools import partial
from time import time
from typing import Any, TextIO

import anyio
import structlog
from starlette.types import ASGIApp

from autoscaler.configuration import ConfigurationError, fingerprint, public
from autoscaler.controllers import controller_of, timing_of
from autoscaler.core import record
from autoscaler.core.controller import Controller
from autoscaler.http_server import served
from autoscaler.leading import Candidate, LeaseTiming, Term
from autoscaler.leases import lease_of, lease_place
from autoscaler.loop import Memory, Ports, TargetLoop
from autoscaler.orders.pages import Desk
from autoscaler.pages import application
from autoscaler.ports import Lease
from autoscaler.records import opened_records
from autoscaler.settings import Settings
from autoscaler.telemetry import Telemetry
from autoscaler.wiring import Wired, WiringError, wired

Signals = AsyncIterator[signal.Signals]

GATHERING_SECONDS = 0.05
"""Signals so close behind one another are answered together."""


@contextmanager
def _signals() -> Iterator[Signals]:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        yield signals


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a daemon touches beside its settings; a simulation brings its own."""

    clock: Callable[[], float] = time
    """Unix seconds."""
    signals: Callable[[], AbstractContextManager[Signals]] = _signals
    wired: Callable[[Settings, Callable[[], float]], AbstractAsyncContextManager[Wired]] = wired
    served: Callable[[ASGIApp, str, int], AbstractAsyncContextManager[str]] = served
    lease: Callable[[Settings], Lease] = lease_of


REAL = Surroundings()


@dataclass(frozen=True, slots=True)
class _Remembered:
    """What a target goes on with after a reload."""

    settings: Settings
    controller: Controller
    memory: Memory
    epoch: int
    """Of the lease: what others did under later ones is not in this memory."""

    def same_service(self, name: str, settings: Settings) -> bool:
        """Whether the target's name still stands for the same service and the same load."""
        before, now = self.settings.targets[name], settings.targets[name]
        same = (before.cluster, before.service, before.queues) == (now.cluster, now.service, now.queues)
        return same and self.settings.aws == settings.aws

    def carried(self, controller: Controller) -> Memory:
        """The memory, with a fresh one of the policy's if that is another policy now."""
        if controller.policy == self.controller.policy:
            return self.memory
        state = self.memory.state._replace(memory=controller.policy.initial())
        return replace(self.memory, state=state)


class Daemon:
    """Runs all targets of a configuration until it is told to stop."""

    def __init__(
        self, settings: Settings, reload: Callable[[], Settings], around: Surroundings = REAL
    ) -> None:
        """`reload` reads the configuration anew; it raises `ConfigurationError`."""
        self.telemetry = Telemetry(clock=around.clock)
        self._around = around
        self._settings = settings
        self._reload = reload
        self._remembered: dict[str, _Remembered] = {}
        self._candidate: Candidate | None = None
        self._lease_place: object = None

    async def run(self) -> None:
        """Until SIGTERM or SIGINT.

        Raises `WiringError` if the first configuration cannot be put to work.
        """
        settings, working = self._settings, None
        with self._around.signals() as signals:
            while True:
                try:
                    following = await self._generation(settings, signals)
                except WiringError as error:
                    if working is None:
                        raise
                    self._refused(str(error))
                    settings, working = working, None
                    continue
                if following is None:
                    structlog.get_logger().info("stopped")
                    return
                settings, working = following, settings

    async def _generation(self, settings: Settings, signals: Signals) -> Settings | None:
        """Runs one configuration; the next one, or None to stop."""
        _check_policies(settings)
        async with AsyncExitStack() as stack:
            parts = await stack.enter_async_context(self._around.wired(settings, self._around.clock))
            sink = stack.enter_context(_records(settings.log.records_path))
            url = await self._listen(stack, settings, parts)
            self.telemetry.begin(settings.mode.value, fingerprint(settings), settings.targets, sink)
            for gauge, value in parts.gauges.items():
                self.telemetry.metrics.follow(gauge, value)
            structlog.get_logger().info("running", pages=url)
            candidate = await self._candidacy(settings)
            async with anyio.create_task_group() as group:
                group.start_soon(candidate.run, partial(self._begin, settings, parts))
                # Whoever takes over waits for longer than this, and so knows what the leader was ordered.
                check_seconds = settings.lease.check_seconds
                group.start_soon(parts.orders.follow, check_seconds, self.telemetry.orders_read)
                following = await self._next(signals)
                group.cancel_scope.cancel()
            if following is None:
                await candidate.release()
        return following

    async def _candidacy(self, settings: Settings) -> Candidate:
        """The one of the generation before, unless the lease is kept elsewhere now."""
        lease = settings.lease
        write_seconds = max(target.write_deadline_seconds for target in settings.targets.values())
        timing = LeaseTiming(lease.check_seconds, lease.expiry_seconds, write_seconds)
        if self._candidate is not None and self._lease_place == lease_place(settings):
            self._candidate.timing = timing
            return self._candidate
        if self._candidate is not None:
            await self._candidate.release()
            self._remembered = {}  # under another lease somebody else may have led until now
        self._lease_place = lease_place(settings)
        self._candidate = Candidate(self._around.lease(settings), timing, self.telemetry)
        return self._candidate

    def _begin(self, settings: Settings, parts: Wired, term: Term) -> list[TargetLoop]:
        """The loops of all targets, as the leader."""
        loops = [
            self._loop(name, settings, term.fenced(ports), term.epoch) for name, ports in parts.ports.items()
        ]
        self._remembered = {
            loop.name: _Remembered(settings, loop.controller, loop.memory, term.epoch) for loop in loops
        }
        return loops

    async def _listen(self, stack: AsyncExitStack, settings: Settings, parts: Wired) -> str:
        http, clock, telemetry = settings.http, self._around.clock, self.telemetry
        desk = Desk(
            parts.orders,
            parts.token,
            tuple(settings.targets),
            clock,
            telemetry.ordered,
            telemetry.order_refused,
            telemetry.standby_text,
        )
        try:
            pages = self._around.served(application(telemetry, desk), http.host, http.port)
            return await stack.enter_async_context(pages)
        except OSError as error:
            place = f"http.host = {http.host}, http.port = {http.port}"
            raise WiringError(f"{place}: cannot listen: {error.strerror or error}") from None

    def _loop(self, name: str, settings: Settings, ports: Ports, epoch: int) -> TargetLoop:
        target = settings.targets[name]
        controller = controller_of(target, settings)
        loop = TargetLoop(name, controller, ports, timing_of(target), self._around.clock, self.telemetry)
        before = self._remembered.get(name)
        if before is not None and before.epoch == epoch and before.same_service(name, settings):
            loop.memory = before.carried(controller)
        timing = loop.timing
        self.telemetry.started(
            name,
            _decisive(settings, name),
            loop.memory.state,
            controller.policy.memory_type,
            late_seconds=timing.interval_seconds
            + timing.read_deadline_seconds
            + timing.write_deadline_seconds,
            kept=settings.log.records_kept,
        )
        return loop

    async def _next(self, signals: Signals) -> Settings | None:
        """Waits for a stop (None) or for a reload with a valid configuration."""
        while True:
            arrived = await _arrived(signals)
            if stop := arrived - {signal.SIGHUP}:
                structlog.get_logger().info("stopping", signal=min(stop).name)
                return None
            try:
                settings = self._reload()
            except ConfigurationError as error:
                self._refused(str(error))
                continue
            self.telemetry.metrics.count("reloads_total", "done")
            structlog.get_logger().info("reloading", config_hash=fingerprint(settings))
            return settings

    def _refused(self, why: str) -> None:
        self.telemetry.metrics.count("reloads_total", "refused")
        structlog.get_logger().error("reload refused, running on as before", why=why)


def _decisive(settings: Settings, name: str) -> dict[str, Any]:
    """All of the configuration that the target's decisions depend on: what a replay builds them from."""
    shared = {"mode": settings.mode.value, "parallelism": settings.airflow.parallelism}
    return {**public(settings)["targets"][name], **shared}


def _check_policies(settings: Settings) -> None:
    """Whether each policy's memory can begin and be written down.  Raises `WiringError`."""
    for name, target in settings.targets.items():
        controller = controller_of(target, settings)
        try:
            record.encode_start(0.0, name, {}, controller.initial(), controller.policy.memory_type, "")
        except Exception as error:  # noqa: BLE001 - a policy of the user's may raise anything
            why = f"{type(error).__name__}: {error}"
            raise WiringError(f"targets.{name}.policy: its memory cannot begin: {why}") from None


async def _arrived(signals: Signals) -> set[signal.Signals]:
    """The next signal and those right behind it: reloads asked for together are one, and a stop overtakes."""
    arrived = {signal.Signals(await anext(signals))}
    with anyio.move_on_after(GATHERING_SECONDS):
        while True:
            arrived.add(signal.Signals(await anext(signals)))
    return arrived


@contextmanager
def _records(path: str | None) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    with ExitStack() as stack:
        try:
            sink = stack.enter_context(opened_records(path))
        except OSError as error:
            raise WiringError(f"log.records_path = {path}: cannot be written: {error.strerror}") from None
        yield sink
