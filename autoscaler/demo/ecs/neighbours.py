"""ECS's neighbours as far as an autoscaler asks them: scalable targets, identity, policy simulation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from autoscaler.demo.ecs.documents import instant
from autoscaler.demo.ecs.faults import Faults
from autoscaler.demo.ecs.model import ACCOUNT, REGION, ApiError
from autoscaler.demo.ecs.world import EcsWorld

ROLE = f"arn:aws:iam::{ACCOUNT}:role/autoscaler"
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/autoscaler/loopback"


class ScalableTargets:
    """Application Auto Scaling's registrations: who else sets a service's size."""

    def __init__(self, world: EcsWorld) -> None:
        self._world = world
        self._registered: dict[str, dict[str, Any]] = {}

    def register(
        self,
        service: str = "workers",
        cluster: str = "demo",
        *,
        suspended: tuple[bool, bool, bool] | None = None,
    ) -> None:
        """Registers a service; `suspended`: scaling in, scaling out, scheduled scaling."""
        resource = f"service/{cluster}/{service}"
        flags = suspended or (False, False, False)
        names = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
        self._registered[resource] = {
            "ServiceNamespace": "ecs",
            "ResourceId": resource,
            "ScalableDimension": "ecs:service:DesiredCount",
            "MinCapacity": 1,
            "MaxCapacity": 10,
            "RoleARN": ROLE,
            "CreationTime": instant(self._world.clock()),
            "SuspendedState": dict(zip(names, flags, strict=True)),
            "ScalableTargetARN": f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT}:scalable-target/demo",
        }

    def deregister(self) -> None:
        """Forgets all of them."""
        self._registered.clear()

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """DescribeScalableTargets."""
        wanted = request.get("ResourceIds", list(self._registered))
        if request["ServiceNamespace"] != "ecs":
            return {"ScalableTargets": []}
        return {"ScalableTargets": [self._registered[name] for name in wanted if name in self._registered]}


def answered(form: Mapping[str, str], faults: Faults) -> str:
    """The answer to a call of STS or IAM, which speak the query protocol.  Raises `ApiError`."""
    match form.get("Action"):
        case "GetCallerIdentity":
            return _caller_identity()
        case "SimulatePrincipalPolicy":
            return _simulated_policy(form, faults)
    raise ApiError("InvalidAction", f"{form.get('Action')} is not part of the loopback ECS")


def _caller_identity() -> str:
    return (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        f"<Arn>{CALLER}</Arn><UserId>AROADEMO:loopback</UserId><Account>{ACCOUNT}</Account>"
        "</GetCallerIdentityResult></GetCallerIdentityResponse>"
    )


def _simulated_policy(form: Mapping[str, str], faults: Faults) -> str:
    if form.get("PolicySourceArn") != ROLE:
        raise ApiError("NoSuchEntity", f"{form.get('PolicySourceArn')} does not exist", 404)
    actions = [value for name, value in sorted(form.items()) if name.startswith("ActionNames.member.")]
    members = "".join(
        f"<member><EvalActionName>{escape(action)}</EvalActionName><EvalResourceName>*</EvalResourceName>"
        f"<EvalDecision>{'implicitDeny' if action in faults.denied else 'allowed'}</EvalDecision></member>"
        for action in actions
    )
    return (
        '<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
        f"<SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated><EvaluationResults>{members}"
        "</EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    )


def query_error(error: ApiError) -> str:
    """An error in the query protocol's form."""
    return (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{escape(error.code)}</Code>"
        f"<Message>{escape(error.message)}</Message></Error></ErrorResponse>"
    )
