"""During a rollout the way in waits; a failed one is no reason to ask for more workers."""

from __future__ import annotations

from autoscaler.core.proposal import Context, Proposal
from policies.model import Reason, Rollout


def during_rollout(proposal: Proposal, context: Context) -> Proposal:
    """The current size while the service's deployment forbids the direction."""
    current = context.current
    match context.capacity.rollout:
        case Rollout.IN_PROGRESS if proposal.workers < current:
            return proposal.held("rollout", current, Reason.DEPLOYING, "a deployment is in progress")
        case Rollout.FAILED if proposal.workers != current:
            held = proposal.held("rollout", current, Reason.DEPLOYMENT_FAILED, "it starts no workers")
            return held.to("rollout", current, Reason.DEPLOYMENT_FAILED) if held.workers > current else held
    return proposal
