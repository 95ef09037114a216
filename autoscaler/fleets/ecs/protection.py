"""Sets and ends the scale-in protection of workers, ten a call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from autoscaler.core.plain import one_line
from autoscaler.fleets.ecs.answers import documents, text
from autoscaler.fleets.ecs.calls import MESSAGE_LENGTH, Failure, called
from autoscaler.fleets.ecs.clients import EcsClients
from autoscaler.ports import FleetError

WORKERS_A_CALL = 10
GONE = frozenset({"MISSING", "TASK_NOT_VALID"})
"""A worker that is stopped or unknown has no protection left to end."""


async def protect(clients: EcsClients, cluster: str, workers: Iterable[str], minutes: int) -> Failure | None:
    """Protects workers from scale-in for so long; None, or the first thing that went wrong."""
    return await _update(clients, cluster, workers, {"protectionEnabled": True, "expiresInMinutes": minutes})


async def release(clients: EcsClients, cluster: str, workers: Iterable[str]) -> Failure | None:
    """Ends the protection of workers; None, or the first thing that went wrong."""
    return await _update(clients, cluster, workers, {"protectionEnabled": False})


async def _update(
    clients: EcsClients, cluster: str, workers: Iterable[str], wanted: Mapping[str, Any]
) -> Failure | None:
    ids = sorted(workers)
    first: Failure | None = None
    for start in range(0, len(ids), WORKERS_A_CALL):
        page = ids[start : start + WORKERS_A_CALL]
        answer = await called(
            "ecs:UpdateTaskProtection",
            clients.writer.update_task_protection(cluster=cluster, tasks=page, **wanted),
        )
        if isinstance(answer, Failure):
            return first or answer
        problem = _problem(answer, page, enabled=wanted["protectionEnabled"])
        first = first or problem  # one refused worker is no reason to leave the next ten bare
    return first


def _problem(answer: Mapping[str, Any], page: list[str], *, enabled: bool) -> Failure | None:
    """A success may hold failures: every worker must be in it as it was asked for."""
    try:
        done = {
            text(each, "taskArn"): each.get("protectionEnabled")
            for each in documents(answer, "protectedTasks")
        }
        reasons = {
            text(each, "arn"): one_line(str(each.get("reason", "no reason")), MESSAGE_LENGTH)
            for each in documents(answer, "failures")
        }
    except FleetError as error:
        return Failure(f"UpdateTaskProtection: {error}", definite=False)
    failed = [worker for worker in page if done.get(worker) is not enabled]
    if not enabled:
        failed = [worker for worker in failed if reasons.get(worker) not in GONE]
    if not failed:
        return None
    reason = reasons.get(failed[0])
    verb = "protected" if enabled else "released"
    why = (
        f"{len(failed)} of {len(page)} workers not {verb}, {failed[0]}: {reason or 'left out of the answer'}"
    )
    return Failure(f"UpdateTaskProtection: {why}", definite=reason is not None)
