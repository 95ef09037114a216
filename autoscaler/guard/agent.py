"""The ECS agent's endpoint for a task's own scale-in protection.

Form of its answers: Amazon ECS Developer Guide, "Amazon ECS task scale-in protection endpoint".  A refusal
comes as 200 with a `failure`, an error of ECS behind the agent as an `error`; only a `protection` that says
what was asked for is a success.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

from autoscaler.core.plain import OneLineError, one_line
from autoscaler.guard.keeper import Protection

PATH = "/task-protection/v1/state"
MOST_BYTES = 64 * 1024
MOST_WORDS = 300


class AgentError(OneLineError):
    """The protection could not be read or set; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Agent:
    """The agent's endpoint at `url` (`ECS_AGENT_URI`)."""

    url: str
    seconds: float = 5.0
    """An answer that takes longer is none."""

    async def protect(self, minutes: int) -> Protection:
        """Protects the task for so long from now.  Raises `AgentError`."""
        found = await self._call("PUT", {"ProtectionEnabled": True, "ExpiresInMinutes": minutes})
        if not found.until:
            raise AgentError(f"{self._place('PUT')}: the task is not protected, though nothing was refused")
        return found

    async def release(self) -> None:
        """Ends the task's protection.  Raises `AgentError`."""
        found = await self._call("PUT", {"ProtectionEnabled": False})
        if found.until:
            raise AgentError(f"{self._place('PUT')}: the task is still protected, though nothing was refused")

    async def read(self) -> Protection:
        """The task's protection now.  Raises `AgentError`."""
        return await self._call("GET", None)

    async def _call(self, method: str, document: Mapping[str, Any] | None) -> Protection:
        """One call, in a thread; the socket's own time-out ends one that was given up."""
        call = partial(_exchanged, self.url, method, document, self.seconds)
        try:
            with anyio.fail_after(2 * self.seconds):
                status, body = await anyio.to_thread.run_sync(call, abandon_on_cancel=True)
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise AgentError(f"{self._place(method)}: no answer ({why}); it needs Fargate 1.4.0") from None
        return _read(status, body, self._place(method))

    def _place(self, method: str) -> str:
        return f"{method} {self.url.rstrip('/')}{PATH}"


def _exchanged(
    url: str, method: str, document: Mapping[str, Any] | None, seconds: float
) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    try:
        body = None if document is None else json.dumps(document)
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, parts.path.rstrip("/") + PATH, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(MOST_BYTES + 1)
    finally:
        connection.close()


def _read(status: int, body: bytes, place: str) -> Protection:
    try:
        document = json.loads(body) if len(body) <= MOST_BYTES else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise AgentError(f"{place}: HTTP {status} with an answer that is no JSON object")
    for kind in ("error", "failure"):
        if kind in document:
            raise AgentError(f"{place}: {_refusal(document[kind])}")
    protection = document.get("protection")
    if status != http.HTTPStatus.OK or not isinstance(protection, dict):
        raise AgentError(f"{place}: HTTP {status} without a protection")
    if protection.get("ProtectionEnabled") is False:
        return Protection(0.0)
    until = _instant(protection.get("ExpirationDate"))
    if protection.get("ProtectionEnabled") is not True or until is None:
        raise AgentError(f"{place}: an answer from which nobody can tell until when the task is protected")
    return Protection(until)


def _refusal(problem: Any) -> str:
    """The agent's own words."""
    words = problem if isinstance(problem, dict) else {}
    code = words.get("Reason") or words.get("Code") or "refused without a reason"
    detail = words.get("Detail") or words.get("Message") or ""
    remedy = (
        "; give the task role ecs:GetTaskProtection and ecs:UpdateTaskProtection"
        if code == "AccessDeniedException"
        else ""
    )
    return one_line(f"{code}{f' ({detail})' if detail else ''}", MOST_WORDS) + remedy


def _instant(value: Any) -> float | None:
    """Unix seconds of an ISO 8601 date, in UTC unless it says otherwise."""
    try:
        date = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
