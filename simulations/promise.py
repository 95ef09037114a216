"""A promise on waits, and what became of it in one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulations.run import Result
from simulations.slo import Slo


@dataclass(frozen=True, slots=True)
class Promise:
    """What became of a promise in one run."""

    slo: Slo
    seconds: float
    """The promised statistic."""
    misses: int
    """Tasks that waited longer than the limit."""
    kept: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "text": self.slo.text,
            "limit_seconds": self.slo.limit_seconds,
            "value_seconds": self.seconds,
            "misses": self.misses,
            "kept": self.kept,
        }


def promise_of(slo: Slo, results: Sequence[Result]) -> Promise:
    """Whether a run kept it, or several targets side by side, all their tasks together."""
    waits = np.concatenate([result.of_waiters(result.promised_waits) for result in results])
    queued_at = np.concatenate([result.of_waiters(result.trace.queued_at) for result in results])
    margins = tuple(slo.margins(queued_at, waits))
    return Promise(slo, slo.value(waits), int(np.count_nonzero(slo.late(waits))), slo.kept([margins]))
