"""The worker service as it is: how many workers, how large, with how many slots.  Two describe calls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from autoscaler.fleets.ecs import EcsClients, ecs_clients
from autoscaler.fleets.ecs.answers import count, document_in, service_in, text
from autoscaler.fleets.ecs.calls import Failure, called
from autoscaler.fleets.ecs.task_definition import slots_of, worker_container
from autoscaler.ports import FleetError

CPU_UNITS_PER_VCPU = 1024
MIB_PER_GB = 1024
"""AWS writes GB and means GiB."""
ARCHITECTURES = {"X86_64": "x86", "ARM64": "arm"}

_AMOUNT = re.compile(r"\s*(\d*\.?\d+)\s*(vcpu|gb)?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WorkerService:
    """One ECS service of workers."""

    name: str
    """`cluster/service`."""
    desired: int
    running: int
    pending: int
    slots: int | None = None
    """Tasks one worker runs at a time; None: the task definition leaves it open."""
    slots_by: str = ""
    """Where the task definition says so."""
    architecture: str = "x86"
    """`x86` or `arm`."""
    vcpu: float | None = None
    """Of one worker; None: the task definition does not say, as on EC2."""
    memory_gb: float | None = None
    spot: bool = False
    """Whether a capacity provider strategy of the service names Fargate Spot."""
    unknown: str = ""
    """Why the size of a worker is not known, if it is not."""


async def look_at(
    cluster: str, service: str, *, region: str | None = None, endpoint_url: str | None = None
) -> WorkerService:
    """The service as ECS describes it.  Raises `FleetError` if it does not.

    A task definition that may not be read leaves only the size of a worker open.
    """
    async with ecs_clients(region, endpoint_url) as clients:
        answer = await called(
            "ecs:DescribeServices",
            clients.reader.describe_services(cluster=cluster, services=[service]),
        )
        if isinstance(answer, Failure):
            raise FleetError(f"ECS service {cluster}/{service}: {answer.why}")
        document = service_in(answer, cluster, service)
        return await _with_worker(clients, document, f"{cluster}/{service}")


async def _with_worker(clients: EcsClients, document: Mapping[str, Any], name: str) -> WorkerService:
    desired, running, pending = (
        count(document, f"{each}Count") for each in ("desired", "running", "pending")
    )
    service = WorkerService(
        name, desired, running, pending, spot=_spot(document.get("capacityProviderStrategy"))
    )
    answer = await called(
        "ecs:DescribeTaskDefinition",
        clients.reader.describe_task_definition(taskDefinition=text(document, "taskDefinition")),
    )
    if isinstance(answer, Failure):
        return replace(service, unknown=answer.why)
    definition = document_in(answer, "taskDefinition")
    container = worker_container(definition)
    found = slots_of(container) if container is not None else None
    slots, slots_by = found if found is not None else (None, "")
    vcpu = _amount(definition.get("cpu"), CPU_UNITS_PER_VCPU)
    memory_gb = _amount(definition.get("memory"), MIB_PER_GB)
    if vcpu is None or memory_gb is None:
        why = "its task definition names no cpu and memory"
        return replace(service, slots=slots, slots_by=slots_by, unknown=why)
    platform = definition.get("runtimePlatform")
    architecture = str(platform.get("cpuArchitecture")) if isinstance(platform, Mapping) else ""
    return replace(
        service,
        slots=slots,
        slots_by=slots_by,
        architecture=ARCHITECTURES.get(architecture, "x86"),
        vcpu=vcpu,
        memory_gb=memory_gb,
    )


def _amount(value: object, units: int) -> float | None:
    """Of vCPUs or GB, given as `1024` (units or MiB) or as `1 vCPU`, `2 GB`."""
    found = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    if found is None or float(found[1]) == 0:
        return None
    return float(found[1]) if found[2] else float(found[1]) / units


def _spot(strategy: object) -> bool:
    return isinstance(strategy, list) and any(
        isinstance(each, Mapping) and each.get("capacityProvider") == "FARGATE_SPOT" for each in strategy
    )
