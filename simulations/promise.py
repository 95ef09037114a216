"""A promise on waits, and what became of it in one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simulations.run import Result
from simulations.slo import Slo
from simulations.waits import of_ended


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


def promise_of(slo: Slo, result: Result) -> Promise:
    """Whether the run kept it."""
    waits = of_ended(result, result.waited_seconds)
    margins = tuple(slo.margins(of_ended(result, result.trace.queued_at), waits))
    return Promise(slo, slo.value(waits), int(np.count_nonzero(slo.late(waits))), slo.kept([margins]))
