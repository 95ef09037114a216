"""Rolling deployments: a new one takes over, or its circuit breaker gives it up."""

from __future__ import annotations

from math import ceil

from autoscaler.demo.ecs.model import Deployment, RolloutState, Service

FEWEST_FAILURES = 3
MOST_FAILURES = 200
FAILURE_SHARE = 0.5
"""Of the desired count: so many failures to start, within the two bounds, trip a circuit breaker."""


def begin(service: Service, at: float, *, broken: bool = False) -> Deployment:
    """A new deployment of the next revision; its tasks start as the percentages allow."""
    revision = 1 + max(each.revision for each in service.deployments)
    deployment = Deployment(_next_id(service), revision, at, broken=broken, reason="in progress")
    service.deployments.insert(0, deployment)
    service.rebalancing = None
    return deployment


def moved_on(service: Service, at: float) -> bool:
    """Drops deployments without tasks, and completes or gives up the primary one; whether it was given up."""
    primary = service.primary
    held = {task.deployment for task in service.wanted}
    older = service.deployments[1:]
    service.deployments[1:] = [each for each in older if each in held or _fallback(service, each)]
    if primary.state is not RolloutState.IN_PROGRESS:
        return False
    running = sum(task.runs and task.deployment is primary for task in service.wanted)
    if running >= service.desired and held <= {primary}:
        del service.deployments[1:]
        primary.state = RolloutState.COMPLETED
        primary.reason = f"ECS deployment {primary.id} completed."
        service.say(at, f"(deployment {primary.id}) deployment completed.")
        return False
    if service.spec.circuit_breaker and primary.failed_tasks >= _failures_allowed(service):
        return _give_up(service, at)
    return False


def _give_up(service: Service, at: float) -> bool:
    failed = service.primary
    failed.state = RolloutState.FAILED
    failed.reason = "ECS deployment circuit breaker: tasks failed to start."
    service.say(at, f"(deployment {failed.id}) deployment failed: tasks failed to start.")
    before = next((each for each in service.deployments if each.state is RolloutState.COMPLETED), None)
    if not service.spec.rolls_back or before is None:
        return True
    if service.spec.silence.rollback_reuses_deployment:
        service.deployments.remove(before)
    else:
        before = Deployment(_next_id(service), before.revision, at)
    before.state = RolloutState.IN_PROGRESS
    before.reason = f"ECS deployment circuit breaker: rolling back to deploymentId {before.id}."
    service.say(at, f"rolling back to deployment {before.id}.")
    service.deployments.insert(0, before)
    return True


def _fallback(service: Service, deployment: Deployment) -> bool:
    """Whether a deployment without tasks is kept because it may be rolled back to."""
    return deployment.state is RolloutState.COMPLETED and service.primary.state is RolloutState.IN_PROGRESS


def _failures_allowed(service: Service) -> int:
    return min(MOST_FAILURES, max(FEWEST_FAILURES, ceil(FAILURE_SHARE * service.desired)))


def _next_id(service: Service) -> str:
    return f"ecs-svc/{1 + max(int(each.id.rpartition('/')[2]) for each in service.deployments)}"
