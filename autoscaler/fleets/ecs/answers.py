"""What ECS answers, field by field: whatever is used is checked, and what is missing is unknown.

botocore makes a success without keys of a truncated or empty body, so nothing is taken for granted.
Every function here raises `FleetError` with what was expected.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from autoscaler.ports import FleetError
from policies.model import Capacity, Rollout, WorkerState

Document = Mapping[str, Any]
NAN = float("nan")
PENDING = frozenset({"PROVISIONING", "PENDING", "ACTIVATING"})
MOST_WORKERS = 100_000
"""Of a service; AWS's own limit is 5,000."""
LEAVING = frozenset({"DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED", "DELETED"})


def service_in(answer: Document, cluster: str, service: str) -> Document:
    """The service of a DescribeServices answer."""
    where = f"ECS service {cluster}/{service}"
    for failure in documents(answer, "failures") if "failures" in answer else ():
        if failure.get("reason") == "MISSING":
            raise FleetError(f"{where} does not exist; check target.cluster, target.service and aws.region")
        raise FleetError(f"{where} was not described: {failure.get('reason')} {failure.get('detail', '')}")
    found = documents(answer, "services")
    if len(found) != 1:
        raise FleetError(f"{where}: DescribeServices returned {len(found)} services, expected one")
    document = found[0]
    if document.get("serviceName") != service.rsplit("/", 1)[-1]:
        raise FleetError(f"{where}: DescribeServices returned {document.get('serviceName')!r}")
    return document


def suitable(document: Document, cluster: str, service: str) -> Document:
    """The service, if it is one that we may size."""
    for why, remedy in unsuitable(document):
        raise FleetError(f"ECS service {cluster}/{service} {why}; {remedy}")
    return document


def unsuitable(document: Document) -> list[tuple[str, str]]:
    """(why, remedy) of everything that keeps us from sizing a service."""
    status, strategy = document.get("status"), document.get("schedulingStrategy")
    # Older services carry no deploymentController; those of another kind always do.
    shown = document.get("deploymentController", {"type": "ECS"})
    controller = shown.get("type") if isinstance(shown, Mapping) else shown
    found = []
    if status != "ACTIVE":
        found.append((f"is {status}, expected ACTIVE", "create it again or name another service"))
    if strategy != "REPLICA":
        found.append((f"is scheduled as {strategy}, expected REPLICA", "a DAEMON service has no size to set"))
    if controller != "ECS":
        remedy = "use the ECS (rolling update) deployment controller"
        found.append((f"has the deployment controller {controller}, expected ECS", remedy))
    if document.get("resourceManagementType") == "ECS":
        remedy = "use an ordinary service for the workers"
        found.append(("is managed by ECS Express Mode, which sets its size itself", remedy))
    return found


def capacity_of(document: Document) -> Capacity:
    """Size and rollout of a service."""
    return Capacity(
        desired=count(document, "desiredCount"),
        pending=count(document, "pendingCount"),
        running=count(document, "runningCount"),
        rollout=_rollout(documents(document, "deployments")),
    )


def _rollout(deployments: Sequence[Document]) -> Rollout:
    if not deployments:
        raise FleetError("the service shows no deployment, expected at least one")
    for deployment in deployments:
        if deployment.get("status") == "PRIMARY" and deployment.get("rolloutState") == "FAILED":
            return Rollout.FAILED
    if len(deployments) == 1 and deployments[0].get("rolloutState") == "COMPLETED":
        return Rollout.STEADY
    return Rollout.IN_PROGRESS


def older_deployments(document: Document) -> frozenset[str]:
    """Ids of the deployments that another one is about to replace; none while there is only one.

    Named one by one: a worker of a deployment that this reading does not show yet is no old one.
    """
    ids = {each.get("id") for each in documents(document, "deployments") if each.get("status") != "PRIMARY"}
    return frozenset(each for each in ids if isinstance(each, str))


def worker_state(task: Document) -> WorkerState:
    """Where a task is in its life."""
    status = text(task, "lastStatus")
    if status in LEAVING or task.get("desiredStatus") == "STOPPED":
        return WorkerState.STOPPING
    return WorkerState.PENDING if status in PENDING else WorkerState.RUNNING


def protected_until(protection: Document | None) -> float:
    """When a task's protection ends, Unix seconds; 0: none; NaN: unknown."""
    match protection:
        case {"protectionEnabled": False}:
            return 0.0
        case {"protectionEnabled": True, "expirationDate": datetime() as end}:
            return end.timestamp()
    return NAN


def count(document: Document, name: str) -> int:
    """A count that is one."""
    value = document.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST_WORKERS:
        raise FleetError(f"ECS said {name} = {shown(value)}, expected a count")
    return value


def text(document: Document, name: str) -> str:
    """A text that is not empty."""
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise FleetError(f"ECS said {name} = {shown(value)}, expected text")
    return value


def shown(value: object) -> str:
    """A value, as far as a line has room for it."""
    return reprlib.repr(value)


def instant(document: Document, name: str) -> float:
    """An instant in Unix seconds; NaN if there is none."""
    value = document.get(name)
    return value.timestamp() if isinstance(value, datetime) else NAN


def document_in(answer: Document, name: str) -> Document:
    """An object."""
    value = answer.get(name)
    if not isinstance(value, Mapping):
        raise FleetError(f"the answer of ECS has no usable {name}: cut short, or not from ECS")
    return value


def documents(answer: Document, name: str) -> list[Document]:
    """A list of objects."""
    value = answer.get(name)
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise FleetError(f"the answer of ECS has no usable {name}: cut short, or not from ECS")
    return value


def texts(answer: Document, name: str) -> list[str]:
    """A list of texts."""
    value = answer.get(name)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise FleetError(f"the answer of ECS has no usable {name}: cut short, or not from ECS")
    return value
