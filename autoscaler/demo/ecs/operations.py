"""The API's operations over the world: a validated request in, an answer out.

What botocore's model lets through although AWS does not (a negative desired count, too many ids) is
checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from autoscaler.demo.ecs.documents import (
    instant,
    service_document,
    task_definition_document,
    task_document,
)
from autoscaler.demo.ecs.model import ApiError, Service, Task
from autoscaler.demo.ecs.past import View
from autoscaler.demo.ecs.spec import ServiceSpec
from autoscaler.demo.ecs.world import LEFT_OUT, EcsWorld

Request = dict[str, Any]
Answer = dict[str, Any]
DEFAULT_PROTECTION_MINUTES = 120


def describe_services(world: EcsWorld, request: Request) -> Answer:
    """DescribeServices."""
    view = world.lagging()
    cluster = _cluster(view, request)
    names = _at_most(request["services"], 10, "services")
    found, failures = [], []
    for name in names:
        service = view.services.get((cluster, _last(name)))
        if service is None:
            arn = name if name.startswith("arn:") else f"arn:aws:ecs:us-east-1::service/{cluster}/{name}"
            failures.append({"arn": arn, "reason": "MISSING"})
        else:
            found.append(service_document(service))
    return {"services": found, "failures": failures}


def update_service(world: EcsWorld, request: Request) -> Answer:
    """UpdateService, of the desired count alone."""
    service = _service(world.present(), request, request["service"])
    if service.spec.status != "ACTIVE":
        raise ApiError("ServiceNotActiveException", "Service was not ACTIVE.")
    surplus = sorted(request.keys() - {"cluster", "service", "desiredCount"})
    if surplus:
        raise ApiError(
            "InvalidParameterException", f"only desiredCount can be changed here, not {surplus[0]}"
        )
    desired = request.get("desiredCount", service.desired)
    if desired < 0:
        raise ApiError("InvalidParameterException", "Desired count must not be negative.")
    world.set_desired(service, desired)
    return {"service": service_document(service)}


def create_service(world: EcsWorld, request: Request) -> Answer:
    """CreateService: pretended tasks with the default behaviour."""
    cluster, name = _last(request.get("cluster", "default")), request["serviceName"]
    if (cluster, name) in world.services:
        raise ApiError("InvalidParameterException", "Creation of service was not idempotent.")
    spec = ServiceSpec(name=name, cluster=cluster, desired=request.get("desiredCount", 0))
    return {"service": service_document(world.add_service(spec))}


def list_tasks(world: EcsWorld, request: Request) -> Answer:
    """ListTasks of a service or of the whole cluster; those that shall run unless asked otherwise."""
    view = world.lagging()
    cluster = _cluster(view, request)
    size = request.get("maxResults", 100)
    if not 1 <= size <= 100:
        raise ApiError("InvalidParameterException", "maxResults must be between 1 and 100.")
    if "serviceName" in request:
        tasks = list(_service(view, request, request["serviceName"]).tasks.values())
    else:
        tasks = [task for service in _services_of(view, cluster) for task in service.tasks.values()]
    wanted = request.get("desiredStatus", "RUNNING") == "RUNNING"
    arns = [task.arn for task in tasks if task.wanted is wanted]
    token = request.get("nextToken", "0")
    if not token.isdecimal():
        raise ApiError("InvalidParameterException", "Invalid token.")
    start = int(token)
    answer: Answer = {"taskArns": arns[start : start + size]}
    if start + size < len(arns):
        answer["nextToken"] = str(start + size)
    return answer


def describe_tasks(world: EcsWorld, request: Request) -> Answer:
    """DescribeTasks."""
    _at_most(request["tasks"], 100, "tasks")
    found, failures = _found(world.lagging(), request)
    return {"tasks": [task_document(service, task) for service, task in found], "failures": failures}


def stop_task(world: EcsWorld, request: Request) -> Answer:
    """StopTask: the service replaces it."""
    found, _ = _found(world.present(), {**request, "tasks": [request["task"]]})
    if not found:
        raise ApiError("InvalidParameterException", "The referenced task was not found.")
    service, task = found[0]
    world.stop(task, reason=request.get("reason", "Task stopped by user"))
    world.advance()
    return {"task": task_document(service, task)}


def get_task_protection(world: EcsWorld, request: Request) -> Answer:
    """GetTaskProtection."""
    _at_most(request.get("tasks", []), 100, "tasks")
    lags = any(each.spec.silence.protection_reads_lag for each in world.services.values())
    view = world.lagging() if lags else world.present()
    found, failures = _found(view, request)
    return {"protectedTasks": [protection(view.at, task) for _, task in found], "failures": failures}


def update_task_protection(world: EcsWorld, request: Request) -> Answer:
    """UpdateTaskProtection: a partial success is a success with failures in it."""
    _at_most(request["tasks"], 10, "tasks")
    until = _protection_end(world, request)
    found, failures = _found(world.present(), request)
    protected = []
    for service, task in found:
        refusal = world.protect(service, task, until)
        if refusal == LEFT_OUT:
            continue
        if refusal:
            failures.append({"arn": task.arn, "reason": refusal})
        else:
            protected.append(protection(world.clock(), task))
    world.advance()
    return {"protectedTasks": protected, "failures": failures}


def describe_task_definition(world: EcsWorld, request: Request) -> Answer:
    """DescribeTaskDefinition."""
    for service in world.services.values():
        for deployment in service.deployments:
            arn = service.revision_arn(deployment)
            if request["taskDefinition"] in {arn, arn.rsplit("/", 1)[1], service.spec.name}:
                return {"taskDefinition": task_definition_document(service, deployment)}
    raise ApiError("ClientException", "Unable to describe task definition.")


OPERATIONS: dict[str, Callable[[EcsWorld, Request], Answer]] = {
    "DescribeServices": describe_services,
    "UpdateService": update_service,
    "CreateService": create_service,
    "ListTasks": list_tasks,
    "DescribeTasks": describe_tasks,
    "StopTask": stop_task,
    "GetTaskProtection": get_task_protection,
    "UpdateTaskProtection": update_task_protection,
    "DescribeTaskDefinition": describe_task_definition,
}


def promised(world: EcsWorld, operation: str, request: Request) -> Answer:
    """What a write that is not done yet answers as if it were: a size, or protections."""
    if operation == "UpdateService":
        service = _service(world.present(), request, request["service"])
        return {"service": {**service_document(service), "desiredCount": request["desiredCount"]}}
    until = _protection_end(world, request)
    found, failures = _found(world.present(), request)
    shown = [protection(world.clock(), replace(task, protected_until=until)) for _, task in found]
    return {"protectedTasks": shown, "failures": failures}


def protection(at: float, task: Task) -> dict[str, Any]:
    """A task's protection as the API shows it."""
    if task.protected_until <= at:
        return {"taskArn": task.arn, "protectionEnabled": False}
    return {
        "taskArn": task.arn,
        "protectionEnabled": True,
        "expirationDate": instant(task.protected_until),
    }


def _protection_end(world: EcsWorld, request: Request) -> float:
    minutes = request.get("expiresInMinutes", DEFAULT_PROTECTION_MINUTES)
    if not 1 <= minutes <= 2880:
        raise ApiError("InvalidParameterException", "expiresInMinutes must be between 1 and 2880.")
    return world.clock() + 60.0 * minutes if request["protectionEnabled"] else 0.0


def _found(view: View, request: Request) -> tuple[list[tuple[Service, Task]], list[dict[str, Any]]]:
    cluster = _cluster(view, request)
    tasks = {
        task.id: (service, task)
        for service in _services_of(view, cluster)
        for task in service.tasks.values()
        if view.at - task.created_at >= service.spec.visible_after_seconds
    }
    names = request.get("tasks", list(tasks))
    found = [tasks[_last(name)] for name in names if _last(name) in tasks]
    failures = [{"arn": name, "reason": "MISSING"} for name in names if _last(name) not in tasks]
    return found, failures


def _services_of(view: View, cluster: str) -> list[Service]:
    return [service for (name, _), service in view.services.items() if name == cluster]


def _service(view: View, request: Request, name: str) -> Service:
    service = view.services.get((_cluster(view, request), _last(name)))
    if service is None:
        raise ApiError("ServiceNotFoundException", "Service not found.")
    return service


def _cluster(view: View, request: Request) -> str:
    cluster = _last(request.get("cluster", "default"))
    if not any(cluster == known for known, _ in view.services):
        raise ApiError("ClusterNotFoundException", "Cluster not found.")
    return cluster


def _last(name: str) -> str:
    """The name itself, or the last part of an ARN."""
    return name.rsplit("/", 1)[-1]


def _at_most(ids: Sequence[str], limit: int, what: str) -> Sequence[str]:
    if len(ids) > limit:
        raise ApiError("InvalidParameterException", f"{what} can have at most {limit} items.")
    return ids
