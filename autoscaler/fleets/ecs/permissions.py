"""Whether we may write, found out without writing: IAM is asked to simulate."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from autoscaler.findings import Finding
from autoscaler.fleets.ecs.calls import Failure

_ASSUMED_ROLE = re.compile(r"arn:(?P<partition>[\w-]+):sts::(?P<account>\d+):assumed-role/(?P<role>[^/]+)/.*")

Simulate = Callable[..., Mapping[str, Any] | Failure]


def write_permissions(simulate: Simulate, caller: str, service_arn: str) -> Iterator[Finding]:
    """A finding for each action that writes."""
    tasks = f"{service_arn.replace(':service/', ':task/').rpartition('/')[0]}/*"
    for action, resource in (("ecs:UpdateService", service_arn), ("ecs:UpdateTaskProtection", tasks)):
        answer = simulate(
            PolicySourceArn=policy_source(caller), ActionNames=[action], ResourceArns=[resource]
        )
        decision = "" if isinstance(answer, Failure) else _decision(answer)
        if decision == "allowed":
            yield Finding(True, f"{action} is allowed")
        elif decision:
            yield Finding(False, f"{action} is not allowed on {resource}: {decision}", f"grant {action}")
        else:
            why = answer.said if isinstance(answer, Failure) else "no decision"
            remedy = "grant iam:SimulatePrincipalPolicy to have it checked (optional)"
            yield Finding(True, f"{action} is unverified, because IAM does not say: {why}", remedy)


def policy_source(caller: str) -> str:
    """The ARN that IAM knows a caller's policies by: of an assumed role, the role itself."""
    found = _ASSUMED_ROLE.fullmatch(caller)
    if found is None:
        return caller
    return f"arn:{found['partition']}:iam::{found['account']}:role/{found['role']}"


def _decision(answer: Mapping[str, Any]) -> str:
    results = answer.get("EvaluationResults") or [{}]
    return str(results[0].get("EvalDecision", ""))
