"""Whether Application Auto Scaling sets the same service's size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio

from autoscaler.core.plain import one_line
from autoscaler.fleets.ecs.answers import documents
from autoscaler.fleets.ecs.calls import Failure, called
from autoscaler.fleets.ecs.clients import EcsClients
from autoscaler.ports import FleetError

FLAGS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
RETRY_SECONDS = 30.0
ANSWER_SECONDS = 3.0
MOST_WORDS = 300


def resource_id(cluster: str, service: str) -> str:
    """How Application Auto Scaling names a service."""
    return f"service/{cluster.rsplit('/', 1)[-1]}/{service.rsplit('/', 1)[-1]}"


def contender_in(answer: Mapping[str, Any] | Failure) -> str:
    """Who scales, by a DescribeScalableTargets answer; empty if nobody or all of it is suspended.

    Raises `FleetError` if the answer does not say.
    """
    if isinstance(answer, Failure):
        raise FleetError(answer.why)
    for target in documents(answer, "ScalableTargets"):
        suspended = target.get("SuspendedState")
        flags = suspended if isinstance(suspended, Mapping) else {}
        if not all(flags.get(flag) is True for flag in FLAGS):
            bounds = f"{target.get('MinCapacity')} to {target.get('MaxCapacity')}"
            return one_line(f"Application Auto Scaling ({bounds} on {target.get('ResourceId')})", MOST_WORDS)
    return ""


class Contest:
    """Looks at the start and every few minutes; in between, and while asking fails, the last answer holds.

    Until the first answer the size counts as contested, so that nothing is written.
    """

    def __init__(self, clients: EcsClients, cluster: str, service: str, check_seconds: float) -> None:
        self._clients = clients
        self._resource = resource_id(cluster, service)
        self._check_seconds = check_seconds
        self._contender: str | None = None
        self._doubt = ""
        self._asked_at = float("-inf")
        self._pause_seconds = 0.0

    async def contender(self, at: float) -> str:
        """Who else sets the size; empty: nobody."""
        if not 0 <= at - self._asked_at < self._pause_seconds:  # a clock may be set back
            await self._ask(at)
        if self._contender is None:
            return f"perhaps Application Auto Scaling ({self._doubt})"
        return self._contender

    async def _ask(self, at: float) -> None:
        answer: Mapping[str, Any] | Failure = Failure(f"no answer in {ANSWER_SECONDS:g} s", definite=False)
        # A side question: it must not use up the time that the reading has.
        with anyio.move_on_after(ANSWER_SECONDS):
            answer = await called(
                "application-autoscaling:DescribeScalableTargets",
                self._clients.scaling.describe_scalable_targets(
                    ServiceNamespace="ecs",
                    ResourceIds=[self._resource],
                    ScalableDimension="ecs:service:DesiredCount",
                ),
            )
        try:
            self._contender = contender_in(answer)
            pause = self._check_seconds
        except FleetError as error:
            self._doubt = f"it cannot be asked: {error}"
            pause = min(RETRY_SECONDS, self._check_seconds)
        self._asked_at, self._pause_seconds = at, pause
