"""The daemon's pages: metrics, health, status and the newest decisions, as a plain ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from autoscaler.orders.pages import Desk
from autoscaler.telemetry import Telemetry, summary

DEFAULT_LIMIT = 20


def application(telemetry: Telemetry, desk: Desk | None = None) -> Starlette:
    """All pages; read-only but for the desk's, where orders are taken."""

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(telemetry.registry), media_type=CONTENT_TYPE_LATEST)

    async def healthz(_: Request) -> Response:
        return _health(telemetry)

    async def readyz(_: Request) -> Response:
        return _readiness(telemetry)

    async def status_page(_: Request) -> Response:
        return JSONResponse(status(telemetry, desk))

    async def decisions(request: Request) -> Response:
        wanted = request.query_params.get("target")
        try:
            limit = int(request.query_params.get("limit", DEFAULT_LIMIT))
        except ValueError:
            return PlainTextResponse("limit must be a whole number\n", 400)
        if wanted is not None and wanted not in telemetry.targets:
            return PlainTextResponse(
                f"there is no target of that name; try {', '.join(telemetry.targets)}\n", 404
            )
        names = [wanted] if wanted is not None else list(telemetry.targets)
        lines = [line for name in names for line in telemetry.targets[name].records.newest(limit)]
        return StreamingResponse(_each(lines), media_type="application/x-ndjson")

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/status", status_page),
            Route("/decisions", decisions),
            *(desk.routes() if desk is not None else ()),
        ]
    )


async def _each(lines: Iterable[str]) -> AsyncIterator[str]:
    """As fast as the client takes them: all in one piece they may be tens of megabytes."""
    for line in lines:
        yield f"{line}\n"


def _health(telemetry: Telemetry) -> Response:
    """Whether a restart might help: a stand-by has nothing to tick."""
    if standby := telemetry.standby_text():
        return PlainTextResponse(f"ok, {standby}\n")
    late = telemetry.late()
    if late or not telemetry.targets:
        lines = [f"{target} last ticked {age:.0f} s ago" for target, age in late.items()]
        return PlainTextResponse("\n".join(lines or ["no target runs"]) + "\n", 503)
    return PlainTextResponse("ok\n")


def _readiness(telemetry: Telemetry) -> Response:
    """Whether it decides, or would if the leader died."""
    if standby := telemetry.standby_text():
        assert telemetry.standing is not None
        return PlainTextResponse(f"{standby}\n", 503 if telemetry.standing.why else 200)
    waiting = [name for name, view in telemetry.targets.items() if view.tick is None]
    if waiting or not telemetry.targets:
        return PlainTextResponse(f"no decision yet: {', '.join(waiting) or 'no target runs'}\n", 503)
    return PlainTextResponse("ok\n")


def status(telemetry: Telemetry, desk: Desk | None = None) -> dict[str, Any]:
    """What `autoscaler status` shows."""
    late = telemetry.late()
    return {
        "mode": telemetry.mode,
        "lease": None if telemetry.standing is None else asdict(telemetry.standing),
        "targets": {
            name: {
                "healthy": name not in late,
                **(summary(view.tick) if view.tick else {"reason": "starting"}),
                **(desk.shown(name) if desk is not None else {}),
            }
            for name, view in telemetry.targets.items()
        },
    }
