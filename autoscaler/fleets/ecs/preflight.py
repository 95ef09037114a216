"""Looks, before a daemon runs, at everything on AWS that would keep it from doing its work.

One-shot calls with boto3; nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from autoscaler.findings import Finding
from autoscaler.fleets.ecs.answers import service_in
from autoscaler.fleets.ecs.calls import Failure, failure
from autoscaler.fleets.ecs.contest import contender_in, resource_id
from autoscaler.fleets.ecs.permissions import write_permissions
from autoscaler.fleets.ecs.suitability import service_findings, task_definition_findings
from autoscaler.ports import FleetError

Answer = Mapping[str, Any]
NO_SUCH_TASK = "0" * 32
CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 2, "mode": "standard"})


def preflight(
    cluster: str,
    service: str,
    *,
    region: str | None = None,
    endpoint_url: str | None = None,
    slots_per_worker: int | None = None,
) -> list[Finding]:
    """The findings on one service, in the order in which one would mend them.

    Never raises for what AWS says or fails to say: that is a finding too.
    """
    try:
        session = boto3.Session(region_name=region)
        if session.get_credentials() is None:
            remedy = "give the daemon a task role, or AWS credentials in its environment"
            return [Finding(False, "there are no AWS credentials", remedy)]
        aws = _Aws.of(session, endpoint_url)
    except (BotoCoreError, ValueError) as error:
        remedy = "set aws.region (or AWS_REGION) and check aws.endpoint_url"
        return [Finding(False, f"AWS cannot be reached: {error}", remedy)]
    return list(_findings(aws, cluster, service, slots_per_worker))


@dataclass(frozen=True, slots=True)
class _Aws:
    ecs: Any
    scaling: Any
    sts: Any
    iam: Any

    @classmethod
    def of(cls, session: boto3.Session, endpoint_url: str | None) -> _Aws:
        names = ("ecs", "application-autoscaling", "sts", "iam")
        clients: list[Any] = [
            session.client(name, endpoint_url=endpoint_url, config=CONFIG) for name in names
        ]
        return cls(*clients)


def _asked(action: str, call: Callable[..., Answer], **request: Any) -> Answer | Failure:
    """The answer to a call, or how it failed."""
    try:
        return call(**request)
    except Exception as error:  # noqa: BLE001  # botocore's parsers raise anything on a broken body
        return failure(action, error)


def _findings(aws: _Aws, cluster: str, service: str, slots: int | None) -> Iterator[Finding]:
    identity = _asked("sts:GetCallerIdentity", aws.sts.get_caller_identity)
    if isinstance(identity, Failure):
        remedy = "check the credentials, their expiry and aws.region"
        yield Finding(False, f"AWS does not say who we are: {identity.why}", remedy)
    else:
        yield Finding(True, f"AWS knows us as {identity.get('Arn')}")
    described = _asked("ecs:DescribeServices", aws.ecs.describe_services, cluster=cluster, services=[service])
    document: Answer | None = None
    if isinstance(described, Failure):
        yield _unreadable("ecs:DescribeServices", described)
    else:
        try:
            document = service_in(described, cluster, service)
            yield Finding(True, f"ECS service {cluster}/{service} can be read")
        except FleetError as error:
            yield Finding(False, str(error), "check target.cluster, target.service and aws.region")
    yield from _reads(aws, cluster, service)
    yield _contest(aws, cluster, service)
    if document is None:
        return
    yield from service_findings(document, f"{cluster}/{service}")
    caller = "" if isinstance(identity, Failure) else str(identity.get("Arn", ""))
    simulate = aws.iam.simulate_principal_policy
    yield from write_permissions(
        lambda **request: _asked("iam:SimulatePrincipalPolicy", simulate, **request),
        caller,
        str(document.get("serviceArn", "")),
    )
    yield from _task_definition(aws, document, slots)


def _reads(aws: _Aws, cluster: str, service: str) -> Iterator[Finding]:
    listed = _asked("ecs:ListTasks", aws.ecs.list_tasks, cluster=cluster, serviceName=service, maxResults=100)
    yield _readable("ecs:ListTasks", listed, "taskArns")
    arns = [] if isinstance(listed, Failure) else listed.get("taskArns", [])
    some = arns[:1] or [NO_SUCH_TASK]  # that no such task exists is an answer too
    for action, call, name in (
        ("ecs:DescribeTasks", aws.ecs.describe_tasks, "tasks"),
        ("ecs:GetTaskProtection", aws.ecs.get_task_protection, "protectedTasks"),
    ):
        yield _readable(action, _asked(action, call, cluster=cluster, tasks=some), name)


def _readable(action: str, answer: Answer | Failure, name: str) -> Finding:
    if isinstance(answer, Failure):
        return _unreadable(action, answer)
    if name not in answer:
        return Finding(False, f"{action} was answered without {name}", "try again; is this really ECS?")
    return Finding(True, f"{action} is allowed")


def _unreadable(action: str, failed: Failure) -> Finding:
    if "; grant " in failed.why:
        return Finding(
            False, f"{action} is not allowed: {failed.why.partition('; grant ')[0]}", f"grant {action}"
        )
    return Finding(
        False, f"{action} failed: {failed.why}", "try again; if it stays, check network and endpoint"
    )


def _contest(aws: _Aws, cluster: str, service: str) -> Finding:
    action = "application-autoscaling:DescribeScalableTargets"
    answer = _asked(
        action,
        aws.scaling.describe_scalable_targets,
        ServiceNamespace="ecs",
        ResourceIds=[resource_id(cluster, service)],
        ScalableDimension="ecs:service:DesiredCount",
    )
    if isinstance(answer, Failure):
        return _unreadable(action, answer)
    try:
        contender = contender_in(answer)
    except FleetError as error:
        return Finding(False, f"{action}: {error}", "try again")
    if contender:
        remedy = "deregister the scalable target, or suspend all three kinds of its scaling"
        return Finding(False, f"{contender} sets this size too", remedy)
    return Finding(True, "nobody else scales the service")


def _task_definition(aws: _Aws, document: Answer, slots: int | None) -> Iterator[Finding]:
    action = "ecs:DescribeTaskDefinition"
    name = document.get("taskDefinition")
    answer = _asked(action, aws.ecs.describe_task_definition, taskDefinition=name)
    if isinstance(answer, Failure):
        remedy = f"grant {action} to have slots_per_worker and stopTimeout checked (optional)"
        yield Finding(
            True, f"the task definition was not checked: {answer.why.partition('; grant ')[0]}", remedy
        )
        return
    yield from task_definition_findings(answer.get("taskDefinition") or {}, slots)
