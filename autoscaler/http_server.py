"""Serves an ASGI application for as long as a context is open, leaving signals to the daemon."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import anyio
import uvicorn
from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(application: ASGIApp, host: str, port: int) -> AsyncIterator[str]:
    """Serves on `host:port` (0: a free port); yields the base URL.  Raises `OSError` if it cannot listen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio switches Nagle's algorithm off, which costs 40 ms an answer.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
        taken = listener.getsockname()[1]
        settings = uvicorn.Config(
            application, log_config=None, lifespan="off", access_log=False, timeout_graceful_shutdown=1
        )
        server = _Server(settings)
        async with anyio.create_task_group() as group:
            group.start_soon(partial(server.serve, sockets=[listener]))
            try:
                yield f"http://[{host}]:{taken}" if ":" in host else f"http://{host}:{taken}"
            finally:
                server.should_exit = True
