"""The loopback ECS over HTTP, on 127.0.0.1."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from socket import AF_INET, IPPROTO_TCP, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket
from urllib.parse import parse_qsl

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from autoscaler.demo.ecs import agent
from autoscaler.demo.ecs.api import HANGING, WRITES, Answer, Call, EcsApi
from autoscaler.demo.ecs.connections import Connections
from autoscaler.demo.ecs.model import Task
from autoscaler.demo.ecs.processes import TaskProcesses
from autoscaler.demo.ecs.spec import ServiceSpec
from autoscaler.demo.ecs.world import EcsWorld

AGENT = "/agent"
"""Where a task finds the ECS agent's endpoint, followed by its id."""


class LoopbackEcs:
    """The API over HTTP, and everything a test or a demonstration may do to it."""

    def __init__(self, clock: Callable[[], float] = time.time, seed: int = 0) -> None:
        self.processes = TaskProcesses()
        self.api = EcsApi(clock, seed, self.processes.start)
        self.world = self.api.world
        self.faults = self.api.faults
        self.scalable_targets = self.api.scalable_targets
        self.calls = self.api.calls
        """The latest calls, oldest first."""
        self.connections = Connections()
        self._url = ""
        self._closing = anyio.Event()

    @property
    def url(self) -> str:
        """Where it listens, once it does."""
        return self._url

    @url.setter
    def url(self, url: str) -> None:
        self._url = url
        self.processes.agent_url = f"{url}{AGENT}"

    def agent_url(self, task: Task) -> str:
        """A task's `ECS_AGENT_URI`."""
        return f"{self.processes.agent_url}/{task.id}"

    @property
    def writes(self) -> list[Call]:
        """The calls that ask for a change."""
        return [call for call in self.calls if call.operation in WRITES]

    def count(self, operation: str) -> int:
        """How often an operation was called."""
        return sum(call.operation == operation for call in self.calls)

    def close(self) -> None:
        """Lets hanging calls go, and ends every task's process."""
        self._closing.set()
        self.world.close()
        self.processes.close()

    async def answer(self, request: Request) -> Response:
        """One call of AWS."""
        target = request.headers.get("x-amz-target")
        body = await request.body()
        if target is None:
            return _response(self.api.query(dict(parse_qsl(body.decode(errors="replace")))))
        answer = self.api.answer(target, body)
        if isinstance(answer, Answer):
            return _response(answer)
        if answer in HANGING:
            await self._closing.wait()
        self.connections.reset(request)
        return Response(status_code=503)

    async def agent_reply(self, request: Request) -> Response:
        """One call of the ECS agent's endpoint, from inside a task."""
        body = await request.body()
        status, document = agent.reply(self.world, request.path_params["task"], request.method, body)
        return JSONResponse(document, status)


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, media_type=answer.media_type)


class _Server(uvicorn.Server):
    """A server that leaves signals alone, says when it listens, and ends when it is told to."""

    def __init__(self, config: uvicorn.Config, connections: Connections) -> None:
        super().__init__(config)
        self._connections = connections
        self.listening = anyio.Event()
        self.ended = anyio.Event()
        self._asked_to_end = anyio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to whoever runs us."""
        yield

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Starts, and says so."""
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        """Serves until told to end."""
        await self._asked_to_end.wait()

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Ends at once: clients of a loopback server are given no time."""
        for server in self.servers:
            server.close()
        self._connections.abort_all()
        for server in self.servers:
            await server.wait_closed()

    async def run_shielded(self, listener: socket) -> None:
        """Serves through a cancellation, until `end`: sockets are closed in order."""
        with anyio.CancelScope(shield=True):
            await self.serve([listener])
            self.ended.set()

    async def end(self) -> None:
        """Ends, cancelled or not."""
        self._asked_to_end.set()
        with anyio.CancelScope(shield=True):
            await self.ended.wait()


@asynccontextmanager
async def running_ecs(
    *specs: ServiceSpec,
    clock: Callable[[], float] = time.time,
    seed: int = 0,
    port: int = 0,
    tick_seconds: float = 0.05,
) -> AsyncIterator[LoopbackEcs]:
    """A loopback ECS with these services, listening on 127.0.0.1; port 0 takes a free one.

    When it ends, however it ends, no process of its tasks is left.
    """
    ecs = LoopbackEcs(clock, seed)
    with _bound(port) as listener:
        ecs.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = _Server(_configured(ecs), ecs.connections)
        async with anyio.create_task_group() as group:
            group.start_soon(server.run_shielded, listener)
            try:
                await server.listening.wait()
                for spec in specs:
                    ecs.world.add_service(spec)
                group.start_soon(_ticking, ecs.world, tick_seconds)
                yield ecs
            finally:
                ecs.close()
                await server.end()
                group.cancel_scope.cancel()


def _configured(ecs: LoopbackEcs) -> uvicorn.Config:
    return uvicorn.Config(
        Starlette(
            routes=[
                Route("/", ecs.answer, methods=["POST"]),
                Route(f"{AGENT}/{{task}}{agent.PATH}", ecs.agent_reply, methods=["GET", "PUT"]),
            ]
        ),
        http=ecs.connections.protocol(),
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
    )


async def _ticking(world: EcsWorld, tick_seconds: float) -> None:
    while True:
        world.advance()
        await anyio.sleep(tick_seconds)


@contextmanager
def _bound(port: int) -> Iterator[socket]:
    # With the protocol named, asyncio switches Nagle's algorithm off, which costs 40 ms a call.
    with socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) as listener:
        listener.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        yield listener
