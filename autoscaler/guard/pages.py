"""The guard's pages: health, which the worker's start waits for, and metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from autoscaler.guard.keeper import Work
from autoscaler.guard.run import Guard

PREFIX = "autoscaler_guard"
STALE_SECONDS = 60.0
"""Longer than an agent, a probe and a broker that all hang can keep one tick."""


def application(guard: Guard) -> Starlette:
    """`/healthz` and `/metrics`."""
    registry = CollectorRegistry()
    registry.register(_Metrics(guard))

    async def healthz(_: Request) -> Response:
        problem = unhealthy(guard)
        return PlainTextResponse(f"{problem or 'ok'}\n", 503 if problem else 200)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/healthz", healthz), Route("/metrics", metrics)])


def unhealthy(guard: Guard) -> str:
    """Why the worker should not start, or the guard should be replaced; empty: all is well.

    An agent that refuses later on is no reason: a new guard would be refused too.
    """
    age = guard.clock() - guard.seen.looked_at
    if age > STALE_SECONDS:
        return f"the worker was last looked at {age:.0f} s ago"
    return "" if guard.memory.ready else "the task is not protected yet"


class _Metrics(Collector):
    """Read from the guard whenever somebody asks."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def collect(self) -> Iterator[Metric]:
        guard, seen = self._guard, self._guard.seen
        tasks = float(seen.work.tasks) if isinstance(seen.work, Work) else float("nan")
        left = max(0.0, guard.memory.until - guard.clock())
        stopped = len(guard.intake.leases.said_at) if guard.intake else 0
        for name, meaning, value in (
            ("tasks", "Tasks that the worker holds; NaN while unknown", tasks),
            ("protected_seconds", "How long our protection still lasts; 0: there is none", left),
            ("stopped_queues", "Queues that the worker was told to leave", stopped),
            ("last_look_timestamp_seconds", "When the worker was last looked at", seen.looked_at),
        ):
            yield GaugeMetricFamily(f"{PREFIX}_{name}", meaning, value)
        for name, meaning, count in (
            ("protections", "Protections that the agent confirmed", seen.protections),
            ("releases", "Releases that the agent confirmed", seen.releases),
            ("agent_failures", "Calls that the agent refused or did not answer", seen.agent_failures),
            ("resumptions", "Stopped intakes that nobody renewed, resumed", seen.resumptions),
        ):
            yield CounterMetricFamily(f"{PREFIX}_{name}", meaning, count)
