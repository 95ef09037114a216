"""How services and tasks look in the API's answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from autoscaler.demo.ecs.model import Deployment, Service, Status, Task
from autoscaler.demo.ecs.spec import ServiceSpec

PENDING = (Status.PROVISIONING, Status.PENDING)


def instant(at: float) -> datetime:
    """An instant as the API writes it."""
    return datetime.fromtimestamp(at, UTC)


def service_document(service: Service) -> dict[str, Any]:
    """A service as DescribeServices and UpdateService show it."""
    spec, primary = service.spec, service.primary
    return {
        "serviceArn": service.arn,
        "serviceName": spec.name,
        "clusterArn": service.cluster_arn,
        "status": spec.status,
        "desiredCount": service.desired,
        "runningCount": service.count(Status.RUNNING),
        "pendingCount": service.count(*PENDING),
        **_runs_on(spec),
        "platformVersion": spec.platform_version,
        "taskDefinition": service.revision_arn(primary),
        "schedulingStrategy": spec.strategy,
        "deploymentController": {"type": spec.controller},
        "deploymentConfiguration": _deployment_configuration(spec),
        "deployments": [_deployment(service, each) for each in service.deployments],
        "events": [
            {"id": f"{number}", "createdAt": instant(event.at), "message": event.message}
            for number, event in enumerate(service.events)
        ],
        "createdAt": instant(service.created_at),
        "availabilityZoneRebalancing": "ENABLED" if spec.zone_rebalancing else "DISABLED",
    }


def _deployment(service: Service, deployment: Deployment) -> dict[str, Any]:
    primary = deployment is service.primary
    held = service.count(*Status, deployment=deployment)
    return {
        "id": deployment.id,
        "status": "PRIMARY" if primary else "ACTIVE",
        "taskDefinition": service.revision_arn(deployment),
        "desiredCount": service.desired if primary else held,
        "pendingCount": service.count(*PENDING, deployment=deployment),
        "runningCount": service.count(Status.RUNNING, deployment=deployment),
        "failedTasks": deployment.failed_tasks,
        "rolloutState": str(deployment.state),
        "rolloutStateReason": deployment.reason,
        "createdAt": instant(deployment.created_at),
    }


def _deployment_configuration(spec: ServiceSpec) -> dict[str, Any]:
    return {
        "minimumHealthyPercent": spec.minimum_healthy_percent,
        "maximumPercent": spec.maximum_percent,
        "deploymentCircuitBreaker": {"enable": spec.circuit_breaker, "rollback": spec.rolls_back},
    }


def _runs_on(spec: ServiceSpec) -> dict[str, Any]:
    if not spec.spot:
        return {"launchType": "FARGATE"}
    return {"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}]}


def task_document(service: Service, task: Task) -> dict[str, Any]:
    """A task as DescribeTasks and StopTask show it."""
    document: dict[str, Any] = {
        "taskArn": task.arn,
        "clusterArn": service.cluster_arn,
        "taskDefinitionArn": service.revision_arn(task.deployment),
        "group": f"service:{service.spec.name}",
        "startedBy": task.deployment.id,
        "launchType": "FARGATE",
        "capacityProviderName": "FARGATE_SPOT" if task.spec.spot else "FARGATE",
        "availabilityZone": task.zone,
        "lastStatus": str(task.status),
        "desiredStatus": "RUNNING" if task.wanted else "STOPPED",
        "createdAt": instant(task.created_at),
        "attachments": [_network_interface(task)],
        "containers": [_container(task)],
    }
    for name, at in (
        ("startedAt", task.started_at),
        ("stoppingAt", task.stopping_at),
        ("stoppedAt", task.stopped_at),
    ):
        if at is not None:
            document[name] = instant(at)
    if task.stop_code:
        document |= {"stopCode": task.stop_code, "stoppedReason": task.stopped_reason}
    return document


def _network_interface(task: Task) -> dict[str, Any]:
    details = {
        "networkInterfaceId": f"eni-{task.id[:17]}",
        "privateDnsName": task.host_name,
        "privateIPv4Address": task.address,
    }
    return {
        "id": task.id,
        "type": "ElasticNetworkInterface",
        "status": "ATTACHED",
        "details": [{"name": name, "value": value} for name, value in details.items()],
    }


def _container(task: Task) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": "worker",
        "taskArn": task.arn,
        "lastStatus": str(task.status),
        "runtimeId": f"{task.id}-{task.number:010d}",
        "networkInterfaces": [{"privateIpv4Address": task.address}],
    }
    if task.exit_code is not None:
        container["exitCode"] = task.exit_code
    return container


def task_definition_document(service: Service, deployment: Deployment) -> dict[str, Any]:
    """What the service's tasks are made from."""
    spec = service.spec
    return {
        "taskDefinitionArn": service.revision_arn(deployment),
        "family": spec.name,
        "revision": deployment.revision,
        "status": "ACTIVE",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "containerDefinitions": [
            {
                "name": "worker",
                "image": "apache/airflow",
                "essential": True,
                "command": list(spec.worker_command),
                "stopTimeout": round(spec.stop_timeout_seconds),
                "environment": [
                    {"name": name, "value": value} for name, value in spec.worker_environment.items()
                ],
            }
        ],
    }
