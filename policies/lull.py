"""Lulls: what a policy can promise about looks to come, so that a simulator need not take them all."""

from __future__ import annotations

from typing import Any, NamedTuple

from policies.model import Observation
from policies.policy import Policy

INFINITY = float("inf")


class Lull(NamedTuple):
    """A promise, given at one look for the looks that follow it without a gap.

    While each of them shows the same capacity, a whole and newer reading of the demand with a load of whole
    slots from `lowest` to `highest`, and happens before `until`, the policy's memory stays as it is,
    and what it recommends stays the same, rounded up.  No later answer depends on whether they were taken.
    """

    lowest: int
    highest: int
    until: float = INFINITY

    def both(self, other: Lull) -> Lull:
        """What two promises have in common."""
        return Lull(
            max(self.lowest, other.lowest), min(self.highest, other.highest), min(self.until, other.until)
        )


def lull_of(policy: Policy, memory: Any, observation: Observation) -> Lull | None:
    """The promise that a policy gives at this look, its memory that after it; None: it gives none.

    A policy that can promise has a method `lull(memory, observation)`; no policy has to.
    """
    promise = getattr(policy, "lull", None)
    if promise is None:
        return None
    lull: Lull | None = promise(memory, observation)
    return lull
