"""From the guard's settings to a running guard; ends with SIGTERM."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from time import monotonic, time

import anyio
import anyio.to_thread
import structlog

from autoscaler.guard.agent import Agent
from autoscaler.guard.command import Command
from autoscaler.guard.keeper import Rules
from autoscaler.guard.names import own_hosts
from autoscaler.guard.pages import application
from autoscaler.guard.processes import Processes
from autoscaler.guard.run import Guard, Probe
from autoscaler.guard.settings import GuardSettings, ProbeKind
from autoscaler.http_server import served

log = structlog.get_logger()


async def run(settings: GuardSettings, metadata_url: str | None) -> None:
    """Until SIGTERM or SIGINT.  Raises `IntakeError` for a broker URL, `OSError` if it cannot listen."""
    hosts = await anyio.to_thread.run_sync(own_hosts, metadata_url)
    guard = guard_of(settings, hosts, steady_clock())
    async with served(application(guard), settings.host, settings.port) as url:
        log.info("guarding", pages=url, agent=settings.agent_url, probe=settings.probe.value, hosts=hosts)
        async with anyio.create_task_group() as group:
            group.start_soon(guard.run)
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for number in signals:
                    # The protection is left as it is: it ends by itself, and the worker may still work.
                    log.info("stopping", signal=number.name)
                    group.cancel_scope.cancel()
                    break


def guard_of(settings: GuardSettings, hosts: tuple[str, ...], clock: Callable[[], float]) -> Guard:
    """The guard as configured.  Raises `IntakeError`."""
    probe: Probe = Processes(settings.pool_pattern)
    if settings.probe is ProbeKind.COMMAND:
        probe = Command(settings.command)
    intake = None
    if settings.celery.has_broker:
        from autoscaler.guard.intake import leased_intake  # noqa: PLC0415 - needs the extra `celery`

        intake = leased_intake(
            settings.celery, hosts, queues=settings.queues, lease_seconds=settings.lease_seconds
        )
    rules = Rules(settings.idle_seconds, settings.expires_minutes, settings.start_anyway_seconds)
    return Guard(rules, Agent(settings.agent_url), probe, clock, settings.poll_seconds, intake)


def steady_clock() -> Callable[[], float]:
    """Unix seconds that never go back, whatever happens to the machine's clock."""
    return partial(_later, time() - monotonic())


def _later(start: float) -> float:
    return start + monotonic()
