"""The loopback ECS over HTTP, on 127.0.0.1."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from socket import AF_INET, IPPROTO_TCP, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket
from typing import Any
from urllib.parse import parse_qsl

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from autoscaler.demo.ecs import neighbours, wire
from autoscaler.demo.ecs.connections import Connections
from autoscaler.demo.ecs.faults import Fault, Faults
from autoscaler.demo.ecs.limits import ecs_limits
from autoscaler.demo.ecs.model import ApiError, ServiceSpec
from autoscaler.demo.ecs.operations import OPERATIONS
from autoscaler.demo.ecs.world import EcsWorld

WRITES = frozenset({"CreateService", "UpdateService", "StopTask", "UpdateTaskProtection"})
CALLS_KEPT = 100_000
UNDONE = frozenset({Fault.RESET_BEFORE, Fault.APPLY_LATE, Fault.HANG})
UNANSWERED = frozenset({Fault.RESET_AFTER, Fault.HANG_AFTER})


@dataclass(frozen=True, slots=True)
class Call:
    """One request that arrived, and what became of it."""

    at: float
    operation: str
    request: dict[str, Any]
    outcome: str
    """`ok`, an error code, or the fault."""


class LoopbackEcs:
    """The API and everything a test or a demonstration may do to it."""

    def __init__(self, clock: Callable[[], float] = time.time, seed: int = 0) -> None:
        self.world = EcsWorld(clock, seed)
        self.faults = Faults()
        self.scalable_targets = neighbours.ScalableTargets(self.world)
        self.calls: deque[Call] = deque(maxlen=CALLS_KEPT)
        """The latest calls, oldest first."""
        self.limits = ecs_limits()
        self.url = ""
        """Where it listens, once it does."""
        self.connections = Connections()
        self._closing = anyio.Event()

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

    async def answer(self, request: Request) -> Response:
        """One HTTP request."""
        self.world.advance()
        target = request.headers.get("x-amz-target")
        body = await request.body()
        if target is None:
            return self._query(dict(parse_qsl(body.decode())))
        operation = target.partition(".")[2]
        fault = self.faults.take(operation)
        parsed, outcome, response = self._handled(target, operation, body, fault)
        self.calls.append(Call(self.world.clock(), operation, parsed, outcome))
        if response is not None:
            return response
        if fault in {Fault.HANG, Fault.HANG_AFTER}:
            await self._closing.wait()
        self.connections.reset(request)
        return Response(status_code=503)

    def _handled(
        self, target: str, operation: str, body: bytes, fault: Fault | None
    ) -> tuple[dict[str, Any], str, Response | None]:
        """The request, what became of it, and the response; None: there shall be none."""
        request: dict[str, Any] = {}
        try:
            request = wire.decoded(target, body)
            self._admit(operation, wire.iam_action(target), fault)
            if fault is Fault.APPLY_LATE:
                late_at = self.world.clock() + self.faults.late_seconds
                self.world.at(late_at, lambda: self._late(operation, request))
            if fault in UNDONE:
                return request, str(fault), None
            answer = wire.encoded(target, self._perform(operation, request))
        except ApiError as error:
            content = {"__type": error.code, "message": error.message}
            response = Response(json.dumps(content), error.status, media_type=wire.CONTENT_TYPE)
            return request, error.code, response
        if fault in UNANSWERED:
            return request, str(fault), None
        return request, str(fault or "ok"), _json(self.faults.altered(operation, answer), fault)

    def _perform(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if operation == "DescribeScalableTargets":
            return self.scalable_targets.describe(request)
        if operation not in OPERATIONS:
            raise ApiError("UnknownOperationException", f"{operation} is not part of the loopback ECS")
        return OPERATIONS[operation](self.world, request)

    def _late(self, operation: str, request: dict[str, Any]) -> None:
        service = self.world.service(request["service"], request["cluster"])
        assert operation == "UpdateService", "only the size can be set late"
        self.world.set_desired(service, request["desiredCount"])

    def _admit(self, operation: str, action: str, fault: Fault | None) -> None:
        self._permit(action)
        limit = self.limits.get(operation)
        if fault is Fault.THROTTLE or (limit is not None and not limit.take(self.world.clock())):
            raise ApiError("ThrottlingException", "Rate exceeded")
        if fault is Fault.SERVER_ERROR:
            raise ApiError("ServerException", "Service Unavailable. Please try again later.", 500)

    def _permit(self, action: str) -> None:
        if action in self.faults.denied:
            message = f"User: {neighbours.CALLER} is not authorized to perform: {action}"
            raise ApiError("AccessDeniedException", message)

    def _query(self, form: dict[str, str]) -> Response:
        """STS and IAM speak the query protocol."""
        name = form.get("Action", "")
        action = f"sts:{name}" if name == "GetCallerIdentity" else f"iam:{name}"
        try:
            self._permit(action)
            text = neighbours.answered(form, self.faults)
        except ApiError as error:
            return Response(neighbours.query_error(error), error.status, media_type="text/xml")
        return Response(text, media_type="text/xml")


def _json(answer: Any, fault: Fault | None) -> Response:
    body = json.dumps(answer).encode()
    if fault is Fault.TRUNCATED:
        body = body[: len(body) // 2]
    elif fault is Fault.EMPTY:
        body = b""
    return Response(body, media_type=wire.CONTENT_TYPE)


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
        Starlette(routes=[Route("/", ecs.answer, methods=["POST"])]),
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
