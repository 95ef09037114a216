"""The ECS agent's endpoint inside a task (`$ECS_AGENT_URI/task-protection/v1/state`), without HTTP.

A refusal of ECS comes as 200 with a `failure`, what the agent itself does not accept as an `error`.
Form of the answers: Amazon ECS Developer Guide, "Amazon ECS task scale-in protection endpoint", and the
agent's own source (`amazon-ecs-agent`, ecs-agent/api/taskprotection).
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from autoscaler.demo.ecs.documents import instant
from autoscaler.demo.ecs.model import Service, Task
from autoscaler.demo.ecs.operations import DEFAULT_PROTECTION_MINUTES
from autoscaler.demo.ecs.world import EcsWorld

PATH = "/task-protection/v1/state"
FIELDS = frozenset({"ProtectionEnabled", "ExpiresInMinutes"})
DETAILS = {
    "DEPLOYMENT_BLOCKED": "The service has more protected tasks than its desired count.",
    "TASK_NOT_VALID": "The task is being stopped.",
}

Reply = tuple[int, dict[str, Any]]


def reply(world: EcsWorld, task_id: str, method: str, body: bytes) -> Reply:
    """(HTTP status, document) of a GET or a PUT from inside the task."""
    world.advance()
    found = _found(world, task_id)
    if found is None:
        return _error(404, "ResourceNotFoundException", "Invalid request: no task was found")
    service, task = found
    if method == "GET":
        return HTTPStatus.OK, {"protection": _shown(world, task)}
    try:
        enabled, minutes = _wanted(body)
    except ValueError as error:
        return _error(400, "InvalidParameterException", f"{error}", task)
    refusal = world.protect(service, task, world.clock() + 60.0 * minutes if enabled else 0.0)
    if refusal:
        detail = DETAILS.get(refusal, "")
        return HTTPStatus.OK, {"failure": {"Arn": task.arn, "Reason": refusal, "Detail": detail}}
    world.advance()
    return HTTPStatus.OK, {"protection": _shown(world, task)}


def _found(world: EcsWorld, task_id: str) -> tuple[Service, Task] | None:
    for service in world.services.values():
        if task_id in service.tasks:
            return service, service.tasks[task_id]
    return None


def _wanted(body: bytes) -> tuple[bool, int]:
    """(protected, for how many minutes).  Raises `ValueError`."""
    try:
        document = json.loads(body)
    except ValueError:
        raise ValueError("Failed to decode request") from None
    if not isinstance(document, dict) or document.keys() - FIELDS:
        raise ValueError("Failed to decode request")
    enabled, minutes = document.get("ProtectionEnabled"), document.get("ExpiresInMinutes")
    if enabled is not True and enabled is not False:
        raise ValueError("Invalid request: does not contain 'ProtectionEnabled' field")
    minutes = DEFAULT_PROTECTION_MINUTES if minutes is None else minutes
    if not isinstance(minutes, int) or isinstance(minutes, bool) or not 1 <= minutes <= 2880:
        raise ValueError("Invalid request: expiry duration is not between 1 and 2880 minutes")
    return enabled, minutes


def _shown(world: EcsWorld, task: Task) -> dict[str, Any]:
    if task.protected_until <= world.clock():
        return {"ProtectionEnabled": False, "TaskArn": task.arn}
    date = instant(task.protected_until).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"ExpirationDate": date, "ProtectionEnabled": True, "TaskArn": task.arn}


def _error(status: int, code: str, message: str, task: Task | None = None) -> Reply:
    arn = {} if task is None else {"Arn": task.arn}
    return status, {"error": {**arn, "Code": code, "Message": message}}
