"""Lists a service's workers, in pages of 100: who they are, how they live, which are protected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import numpy as np
import structlog

from autoscaler.fleets.ecs.answers import (
    NAN,
    Document,
    documents,
    instant,
    protected_until,
    text,
    texts,
    worker_state,
)
from autoscaler.fleets.ecs.calls import Failure, called
from autoscaler.fleets.ecs.clients import EcsClients
from autoscaler.fleets.ecs.hosts import hosts_of
from autoscaler.ports import FleetError
from policies.model import Workers, WorkerState

PAGE = 100
MOST_PAGES = 60
"""ECS allows 5,000 tasks a service; more pages than that are a loop."""

log = structlog.get_logger()


async def workers_of(
    clients: EcsClients, cluster: str, service: str, older_deployments: frozenset[str] = frozenset()
) -> Workers:
    """The workers that ECS wants to run, without those that are leaving.

    Those that one of the `older_deployments` started are outdated.
    A worker that is listed but cannot be described yet counts as pending with its protection unknown;
    so does a protection that cannot be read.  Raises `FleetError`.
    """
    arns = await _listed(clients, cluster, service)
    described: dict[str, Document] = {}
    protections: dict[str, Document] = {}
    problems: list[str] = []

    async def describe(page: Sequence[str]) -> None:
        answer = await called("ecs:DescribeTasks", clients.reader.describe_tasks(cluster=cluster, tasks=page))
        try:
            described.update((text(task, "taskArn"), task) for task in _tasks(answer, "tasks"))
        except FleetError as error:
            problems.append(str(error))

    async def read_protection(page: Sequence[str]) -> None:
        answer = await called(
            "ecs:GetTaskProtection", clients.reader.get_task_protection(cluster=cluster, tasks=page)
        )
        try:
            found = _tasks(answer, "protectedTasks")
            protections.update((text(task, "taskArn"), task) for task in found)
        except FleetError as error:
            log.warning("protection_unreadable", cluster=cluster, service=service, why=str(error))

    async with anyio.create_task_group() as group:
        for start in range(0, len(arns), PAGE):
            group.start_soon(describe, arns[start : start + PAGE])
            group.start_soon(read_protection, arns[start : start + PAGE])
    if problems:
        raise FleetError(f"ECS service {cluster}/{service}: {problems[0]}")
    return _columns(arns, described, protections, older_deployments)


def _tasks(answer: Mapping[str, Any] | Failure, name: str) -> list[Document]:
    if isinstance(answer, Failure):
        raise FleetError(answer.why)
    return documents(answer, name)


async def _listed(clients: EcsClients, cluster: str, service: str) -> list[str]:
    where = f"ECS service {cluster}/{service}"
    arns: dict[str, None] = {}  # a worker may show on two pages while others come and go
    token = ""
    for _ in range(MOST_PAGES):
        request = {"cluster": cluster, "serviceName": service, "maxResults": PAGE}
        if token:
            request["nextToken"] = token
        answer = await called("ecs:ListTasks", clients.reader.list_tasks(**request))  # type: ignore[arg-type]
        if isinstance(answer, Failure):
            raise FleetError(f"{where}: {answer.why}")
        arns.update(dict.fromkeys(texts(answer, "taskArns")))
        token = answer.get("nextToken") or ""
        if len(arns) > MOST_PAGES * PAGE:
            break
        if not token:
            return list(arns)
    raise FleetError(f"{where}: ListTasks gave more than {MOST_PAGES} pages, expected at most 5,000 tasks")


def _columns(
    arns: Sequence[str],
    described: Mapping[str, Document],
    protections: Mapping[str, Document],
    older_deployments: frozenset[str],
) -> Workers:
    rows = [
        (arn, described.get(arn, {"taskArn": arn, "lastStatus": "PENDING"}), protections.get(arn))
        for arn in arns
    ]
    staying = [row for row in rows if worker_state(row[1]) is not WorkerState.STOPPING]
    unknown = np.full(len(staying), NAN)
    return Workers(
        ids=tuple(arn for arn, _, _ in staying),
        hosts=tuple(hosts_of(task) for _, task, _ in staying),
        state=np.array([worker_state(task) for _, task, _ in staying], dtype=np.int64),
        created_at=np.array([instant(task, "createdAt") for _, task, _ in staying], dtype=np.float64),
        started_at=np.array([instant(task, "startedAt") for _, task, _ in staying], dtype=np.float64),
        busy_slots=unknown,
        consuming=unknown.copy(),
        protected_until=np.array([protected_until(each) for _, _, each in staying], dtype=np.float64),
        outdated=frozenset(
            arn for arn, task, _ in staying if str(task.get("startedBy")) in older_deployments
        ),
    )
