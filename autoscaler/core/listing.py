"""The listed workers as a removal sees them: sets of names, in which unknown is the worse case."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from autoscaler.core.proposal import Context
from policies.model import NEVER, Workers, WorkerState

RENEW_SECONDS = 600.0
"""A protection that ends sooner is renewed before anything leaves."""


class Listing:
    """One reading's workers without those that are stopping already; every set is made when first asked for.

    Evidence older than `max_age_seconds` is none: then nobody is known as empty, or as stopped.
    """

    def __init__(
        self, workers: Workers, context: Context, max_age_seconds: float, pending_deadline_seconds: float
    ) -> None:
        evidence, at = context.observation.evidence, context.at
        self._workers, self._at, self._deadline_seconds = workers, at, pending_deadline_seconds
        self._staying: NDArray[np.bool_] = workers.state != WorkerState.STOPPING
        self.busy_known = at - evidence.busy_at <= max_age_seconds and not evidence.unplaced_hosts
        self.intake_known = at - evidence.intake_at <= max_age_seconds
        self.empty_at = evidence.busy_at if self.busy_known else NEVER
        """When `empty` was true."""

    def _names(self, chosen: NDArray[np.bool_]) -> frozenset[str]:
        return frozenset(compress(self._workers.ids, (self._staying & chosen).tolist()))

    @cached_property
    def staying(self) -> frozenset[str]:
        """Everybody."""
        return self._names(self._staying)

    @cached_property
    def running(self) -> frozenset[str]:
        """Those that have started."""
        return self._names(self._workers.state == WorkerState.RUNNING)

    @cached_property
    def overdue(self) -> frozenset[str]:
        """Those that should have started long ago: they hold no work, and are the first to leave."""
        late = self._at - self._workers.created_at >= self._deadline_seconds
        return self._names((self._workers.state == WorkerState.PENDING) & late)

    @cached_property
    def empty(self) -> frozenset[str]:
        """Those that are known to hold no work."""
        return self._names(self._workers.busy_slots <= 0) if self.busy_known else frozenset()

    @cached_property
    def stopped(self) -> frozenset[str]:
        """Those whose intake is known to be stopped."""
        return self._names(self._workers.consuming == 0) if self.intake_known else frozenset()

    @cached_property
    def consuming(self) -> frozenset[str]:
        """Those that are known to take tasks."""
        return self._names(self._workers.consuming == 1) if self.intake_known else frozenset()

    @cached_property
    def bare(self) -> frozenset[str]:
        """Those that are known to be without protection."""
        return self._names(self._workers.protected_until <= self._at)

    @cached_property
    def safe(self) -> frozenset[str]:
        """Those whose protection lasts longer than any scale-in takes."""
        return self._names(self._workers.protected_until > self._at + RENEW_SECONDS)

    @cached_property
    def lasting(self) -> frozenset[str]:
        """Those that are protected for some minutes yet, in which a renewal would have been granted."""
        return self._names(self._workers.protected_until > self._at + RENEW_SECONDS / 2)

    @cached_property
    def outdated(self) -> frozenset[str]:
        """Those of an older deployment."""
        return self._workers.outdated & self.running

    def protected_within(self, seconds: float) -> frozenset[str]:
        """Those whose protection ends within so long."""
        until = self._workers.protected_until
        return self._names((until > self._at) & (until <= self._at + seconds))

    def busy_slots(self) -> Callable[[str], float]:
        """Slots that a worker's tasks hold; unknown counts as most."""
        held = dict(zip(self._workers.ids, np.nan_to_num(self._workers.busy_slots, nan=np.inf), strict=True))
        return lambda worker: float(held[worker])

    def work_left(self) -> Callable[[str], float]:
        """Seconds until a worker is expected to be empty; infinite where nobody knows."""
        seconds = self._workers.work_left_seconds
        if seconds is None:
            return lambda _: np.inf
        left = dict(zip(self._workers.ids, np.nan_to_num(seconds, nan=np.inf).tolist(), strict=True))
        return lambda worker: left[worker]

    def busy_beyond(self, budget_seconds: float) -> frozenset[str]:
        """Those that are expected to hold work for longer than that."""
        seconds = self._workers.work_left_seconds
        return frozenset() if seconds is None else self._names(seconds > budget_seconds)
