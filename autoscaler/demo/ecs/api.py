"""The API without HTTP: a request's body in, an answer or none out, with the faults that were asked for."""

from __future__ import annotations

import contextlib
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from autoscaler.demo.ecs import neighbours, wire
from autoscaler.demo.ecs.faults import Fault, Faults
from autoscaler.demo.ecs.life import StartProcess, pretended
from autoscaler.demo.ecs.limits import ecs_limits
from autoscaler.demo.ecs.model import ApiError
from autoscaler.demo.ecs.operations import OPERATIONS, promised
from autoscaler.demo.ecs.world import EcsWorld

WRITES = frozenset({"CreateService", "UpdateService", "StopTask", "UpdateTaskProtection"})
CALLS_KEPT = 100_000
NOT_YET = frozenset({Fault.APPLY_LATE, Fault.ANSWERED_LATE})
UNDONE = frozenset({Fault.RESET_BEFORE, Fault.APPLY_LATE, Fault.HANG})
UNANSWERED = frozenset({Fault.RESET_AFTER, Fault.HANG_AFTER})
HANGING = frozenset({Fault.HANG, Fault.HANG_AFTER})
"""No answer and no reset: whoever asked waits until it has had enough."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request that arrived, and what became of it."""

    at: float
    operation: str
    request: dict[str, Any]
    outcome: str
    """`ok`, an error code, or the fault."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it goes over the wire."""

    status: int
    body: bytes
    media_type: str = wire.CONTENT_TYPE


class EcsApi:
    """The API over a world, and everything a test or a simulation may do to both."""

    def __init__(
        self, clock: Callable[[], float], seed: int = 0, start_process: StartProcess = pretended
    ) -> None:
        self.world = EcsWorld(clock, seed, start_process)
        self.faults = Faults()
        self.scalable_targets = neighbours.ScalableTargets(self.world)
        self.calls: deque[Call] = deque(maxlen=CALLS_KEPT)
        """The latest calls, oldest first."""
        self.limits = ecs_limits()
        self.watch: Callable[[str, dict[str, Any], Fault | None], None] = lambda *_: None
        """Is told of every call before anything comes of it: operation, request, the fault it meets."""

    def answer(self, target: str, body: bytes) -> Answer | Fault:
        """The answer to a call by its `X-Amz-Target`; a fault: there is none, and that is how."""
        self.world.advance()
        operation = target.partition(".")[2]
        fault = self.faults.take(operation)
        request, outcome, answer = self._handled(target, operation, body, fault)
        self.calls.append(Call(self.world.clock(), operation, request, outcome))
        if answer is None:
            assert fault is not None
            return fault
        return answer

    def perform(self, action: str, request: dict[str, Any]) -> dict[str, Any] | Fault:
        """As `answer`, without the wire: for a client in the same process, as fast as can be.

        `action` is the call's IAM name (`ecs:UpdateService`).  Only for pretended tasks: that a process has
        ended by itself is not noticed here.  Raises `ApiError`.
        """
        self.world.pass_time()
        operation = action.partition(":")[2]
        fault = self.faults.take(operation)
        answer = self._done(operation, action, request, fault)
        if fault is not None and (answer is None or fault in UNANSWERED):
            return fault
        assert answer is not None
        return {} if fault in {Fault.TRUNCATED, Fault.EMPTY} else answer

    def query(self, form: Mapping[str, str]) -> Answer:
        """The answer to a call of STS or IAM, which speak the query protocol."""
        name = form.get("Action", "")
        try:
            self._permit(f"sts:{name}" if name == "GetCallerIdentity" else f"iam:{name}")
            text, status = neighbours.answered(form, self.faults), 200
        except ApiError as error:
            text, status = neighbours.query_error(error), error.status
        return Answer(status, text.encode(), "text/xml")

    def _handled(
        self, target: str, operation: str, body: bytes, fault: Fault | None
    ) -> tuple[dict[str, Any], str, Answer | None]:
        """The request, what became of it, and the answer; None: there shall be none."""
        request: dict[str, Any] = {}
        try:
            request = wire.decoded(target, body)
            done = self._done(operation, wire.iam_action(target), request, fault)
            answer = None if done is None else wire.encoded(target, done)
        except ApiError as error:
            content = json.dumps({"__type": error.code, "message": error.message})
            return request, error.code, Answer(error.status, content.encode())
        if answer is None or fault in UNANSWERED:
            return request, str(fault), None
        return request, str(fault or "ok"), _json(self.faults.altered(operation, answer), fault)

    def _done(
        self, operation: str, action: str, request: dict[str, Any], fault: Fault | None
    ) -> dict[str, Any] | None:
        """What was done, as an answer; None: nothing was, or not yet.  Raises `ApiError`."""
        self.watch(operation, request, fault)
        self._admit(operation, action, fault)
        if fault in NOT_YET:
            late_at = self.world.clock() + self.faults.late_seconds
            self.world.at(late_at, lambda: self._late(operation, request))
        return None if fault in UNDONE else self._perform(operation, request, fault)

    def _perform(self, operation: str, request: dict[str, Any], fault: Fault | None) -> dict[str, Any]:
        if fault is Fault.ANSWERED_LATE:
            return promised(self.world, operation, request)
        if operation == "DescribeScalableTargets":
            return self.scalable_targets.describe(request)
        if operation not in OPERATIONS:
            raise ApiError("UnknownOperationException", f"{operation} is not part of the loopback ECS")
        return OPERATIONS[operation](self.world, request)

    def _late(self, operation: str, request: dict[str, Any]) -> None:
        with contextlib.suppress(ApiError):  # nobody is left to be told
            OPERATIONS[operation](self.world, request)

    def _admit(self, operation: str, action: str, fault: Fault | None) -> None:
        if fault is Fault.EXPIRED:
            message = "The security token included in the request is expired"
            raise ApiError("ExpiredTokenException", message)
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


def _json(answer: Any, fault: Fault | None) -> Answer:
    body = json.dumps(answer).encode()
    if fault is Fault.TRUNCATED:
        body = body[: len(body) // 2]
    elif fault is Fault.EMPTY:
        body = b""
    return Answer(200, body)
