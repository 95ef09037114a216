"""How services and tasks look in the API's answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from autoscaler.demo.ecs.model import Service, Status, Task

PENDING = (Status.PROVISIONING, Status.PENDING)


def instant(at: float) -> datetime:
    """An instant as the API writes it."""
    return datetime.fromtimestamp(at, UTC)


def service_document(service: Service) -> dict[str, Any]:
    """A service as DescribeServices and UpdateService show it."""
    spec = service.spec
    running, pending = service.count(Status.RUNNING), service.count(*PENDING)
    deployments = [
        {
            "id": deployment.id,
            "status": "PRIMARY" if deployment.primary else "ACTIVE",
            "taskDefinition": service.task_definition_arn,
            "desiredCount": service.desired if deployment.primary else 0,
            "pendingCount": pending if deployment.primary else 0,
            "runningCount": running if deployment.primary else 0,
            "rolloutState": deployment.state,
            "createdAt": instant(service.created_at),
        }
        for deployment in service.deployments
    ]
    return {
        "serviceArn": service.arn,
        "serviceName": spec.name,
        "clusterArn": service.cluster_arn,
        "status": spec.status,
        "desiredCount": service.desired,
        "runningCount": running,
        "pendingCount": pending,
        "launchType": "FARGATE",
        "platformVersion": spec.platform_version,
        "taskDefinition": service.task_definition_arn,
        "schedulingStrategy": spec.strategy,
        "deploymentController": {"type": spec.controller},
        "deployments": deployments,
        "events": [],
        "createdAt": instant(service.created_at),
        "availabilityZoneRebalancing": "ENABLED" if spec.zone_rebalancing else "DISABLED",
    }


def task_document(service: Service, task: Task) -> dict[str, Any]:
    """A task as DescribeTasks and StopTask show it."""
    document: dict[str, Any] = {
        "taskArn": task.arn,
        "clusterArn": service.cluster_arn,
        "taskDefinitionArn": service.task_definition_arn,
        "group": f"service:{service.spec.name}",
        "launchType": "FARGATE",
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


def task_definition_document(service: Service) -> dict[str, Any]:
    """What the service's tasks are made from."""
    spec = service.spec
    return {
        "taskDefinitionArn": service.task_definition_arn,
        "family": spec.name,
        "revision": 1,
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
