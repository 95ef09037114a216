"""Worker-hours as a token bucket: what a target may use in the long run, and what it may save up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt

from autoscaler.core.proposal import Context, Proposal
from autoscaler.core.state import Tokens
from policies.model import BudgetLeft, Reason

HOUR, DAY_HOURS = 3600.0, 24.0
OPENS_SHARE = 0.25
"""Of the burst: with so much a target starts, and with so much a spent budget opens again.  A bucket that
opened with the first token would let the fleet out for a tick, and in again, for ever."""
WARNING_SECONDS = 3600.0
"""So long before it is spent it is said."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How many worker-hours a target may use.

    The bucket fills by `worker_hours_per_day`, holds at most the burst, and every running or pending worker
    empties it.  Once empty, the fleet shrinks to the floor until a quarter of the burst is back.  What
    workers use that must be held is a debt, of at most a burst.

    Worked example, 240 a day and a burst of 80: ten workers may run for ever; 50 workers, from a full
    bucket, for two hours; then two workers (the floor) until 20 worker-hours are back, which takes 2.5 hours.
    """

    worker_hours_per_day: Annotated[float, Gt(0)]
    burst_worker_hours: Annotated[float, Gt(0)]
    floor_workers: Annotated[int, Ge(0)] = 0

    def __post_init__(self) -> None:
        if self.floor_workers >= self.sustained_workers:
            used = self.floor_workers * DAY_HOURS
            raise ValueError(
                f"floor_workers {self.floor_workers} use {used:g} worker-hours a day, all of "
                f"worker_hours_per_day {self.worker_hours_per_day:g}: nothing would ever come back"
            )

    @property
    def sustained_workers(self) -> float:
        """So many workers may run for ever."""
        return self.worker_hours_per_day / DAY_HOURS

    def counted(self, before: Tokens | None, at: float, workers: int) -> Tokens:
        """The bucket at a look that saw `workers`; `before`: at the last look that saw the fleet.

        Since then as many are charged as were there then; in a gap as well.  At the first look, after each
        start of the daemon, it holds a quarter of the burst.
        """
        opens = OPENS_SHARE * self.burst_worker_hours
        if before is None:
            return Tokens(opens, at, workers)
        hours = max(0.0, at - before.at) / HOUR  # a clock may be set back
        left = before.worker_hours + (self.sustained_workers - before.workers) * hours
        left = max(-self.burst_worker_hours, min(left, self.burst_worker_hours))
        return Tokens(left, at, workers, spent=left <= 0 or (before.spent and left < opens))

    def left(self, tokens: Tokens) -> BudgetLeft:
        """What is left, and for how long at this size."""
        burning = tokens.workers - self.sustained_workers
        seconds = max(0.0, tokens.worker_hours) / burning * HOUR if burning > 0 else float("inf")
        return BudgetLeft(tokens.worker_hours, 0.0 if tokens.spent else seconds)

    def __call__(self, proposal: Proposal, context: Context) -> Proposal:
        """The floor once it is spent, never below the proposal's own; a word before that."""
        tokens = context.state.tokens
        assert tokens is not None, "counted at every look"
        if not tokens.spent:
            seconds = self.left(tokens).seconds
            if seconds > WARNING_SECONDS:
                return proposal
            note = f"spent in {seconds:.0f} s at {tokens.workers} workers"
            return proposal.to("budget", proposal.workers, Reason.BUDGET_LOW, note)
        allowed = max(self.floor_workers, proposal.floor)
        if proposal.workers <= allowed:
            return proposal
        missing = OPENS_SHARE * self.burst_worker_hours - tokens.worker_hours
        seconds = missing / (self.sustained_workers - self.floor_workers) * HOUR
        note = f"{missing:.1f} worker-hours to save up, at best in {seconds:.0f} s"
        return proposal.to("budget", allowed, Reason.BUDGET_SPENT, note)
