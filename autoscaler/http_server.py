"""Serves an ASGI application for as long as a context is open, leaving signals to the daemon."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may ask of the server."""

    request_seconds: float = 30.0
    """From the connection, or the answer before, until the answer is handed over; then it is cut off."""
    idle_seconds: int = 5
    """Between an answer and the next request."""
    connections: int = 64
    """At a time; one more, and the one that has waited longest is cut: a probe always gets through."""
    head_bytes: int = 16 * 1024
    """Of a request's line and headers while their end has not come; the answer to more is 400."""


USUAL = Limits()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Connection(H11Protocol):
    """uvicorn waits for ever for a request's end, and for a client that does not read; this one does not."""

    limits = USUAL
    since = 0.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        super().connection_made(transport)
        self._wait()
        open_ones = [
            each for each in self.connections if isinstance(each, _Connection) and not each.is_closing
        ]
        if len(open_ones) > self.limits.connections:
            min(open_ones, key=lambda each: each.since).transport.abort()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._deadline is not None:
            self._deadline.cancel()

    @property
    def is_closing(self) -> bool:
        return self.transport.is_closing()

    def _wait(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self.since = self.loop.time()
        self._deadline = self.loop.call_later(self.limits.request_seconds, self.transport.abort)


@asynccontextmanager
async def served(application: ASGIApp, host: str, port: int, *, limits: Limits = USUAL) -> AsyncIterator[str]:
    """Serves on `host:port` (0: a free port); yields the base URL.  Raises `OSError` if it cannot listen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio switches Nagle's algorithm off, which costs 40 ms an answer.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
        taken = listener.getsockname()[1]
        server = _Server(_configured(application, limits))
        async with anyio.create_task_group() as group:
            group.start_soon(partial(server.serve, sockets=[listener]))
            try:
                yield f"http://[{host}]:{taken}" if ":" in host else f"http://{host}:{taken}"
            finally:
                server.should_exit = True


def _configured(application: ASGIApp, limits: Limits) -> uvicorn.Config:
    protocol: Any = type("_LimitedConnection", (_Connection,), {"limits": limits})
    return uvicorn.Config(
        application,
        http=protocol,
        ws="none",
        log_config=None,
        log_level="error",  # a stranger's nonsense is no line of ours
        lifespan="off",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=limits.idle_seconds,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=limits.head_bytes,
    )
