"""During a rollout the way in waits (a failed one: see `ownership.hands_off`)."""

from __future__ import annotations

from autoscaler.core.proposal import Context, Proposal
from policies.model import Reason, Rollout


def during_rollout(proposal: Proposal, context: Context) -> Proposal:
    """At least the current size until the service has exactly one, completed deployment."""
    if context.capacity.rollout is Rollout.STEADY:
        return proposal
    note = "a deployment is in progress"
    return proposal.held_if_less("rollout", context.current, Reason.DEPLOYING, note)
