"""A promise on waits: `p95 wait < 60s`, `mean wait <= 2 min`, `max wait < 1h`."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.model import FloatArray
from simulations.student import confidence_not_above_zero

BATCHES = 20
"""Ten to thirty batches are enough for an interval of a mean, and more gain little (Schmeiser 1982)."""
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
EXPECTED = "'p95 wait < 60s': mean, max or pNN, then wait, < or <=, and a time in s, min or h"
_FORM = re.compile(r"(mean|max|p(\d+(?:\.\d+)?))\s+wait\s*(<=?)\s*(\d+(?:\.\d+)?)\s*(s|min|h)")


class SloError(ValueError):
    """A promise that cannot be understood; says what was expected."""


@dataclass(frozen=True, slots=True)
class Slo:
    """At most `limit_seconds` (less than, if `strict`) in the mean, at most, or for a share of tasks."""

    text: str
    limit_seconds: float
    strict: bool
    share: float | None
    """The tasks that must keep the limit: 0.95 for p95, 1 for the maximum; None: the mean must."""

    def value(self, waits: FloatArray) -> float:
        """The promised statistic, in seconds.  A percentile is a wait that some task had."""
        if self.share is None:
            return float(waits.mean())
        return float(np.percentile(waits, 100 * self.share, method="inverted_cdf"))

    def late(self, waits: FloatArray) -> NDArray[np.bool_]:
        """Which tasks waited longer than the limit, whatever is promised of all of them together."""
        return waits >= self.limit_seconds if self.strict else waits > self.limit_seconds

    def margins(self, queued_at: FloatArray, waits: FloatArray) -> list[float]:
        """A number a batch (`BATCHES` equal spans of time); the promise is broken if their sum is above 0.

        p95 < 60 s is "at most 5 % wait 60 s or longer": of 200 tasks of which 4 do, 4 - 0.05 * 200 = -6.
        Waits follow each other (a queue is long for a while), so single tasks would count as more
        evidence than they are; long batches hardly depend on each other.
        """
        if self.share is None:
            each: FloatArray = waits - self.limit_seconds
        else:
            each = self.late(waits).astype(np.float64) - (1 - self.share)
        first, last = float(queued_at.min()), float(queued_at.max())
        length = (last - first) / BATCHES or 1.0
        batch = np.minimum((queued_at - first) // length, BATCHES - 1).astype(np.int64)
        counts = np.bincount(batch, minlength=BATCHES)
        sums = np.bincount(batch, weights=each, minlength=BATCHES)
        return [float(total) for total, count in zip(sums, counts, strict=True) if count]

    def confidence(self, margins: list[tuple[float, ...]]) -> float:
        """How sure it is, 0 to 1, that more history of this kind keeps the promise, too.

        `margins`: one list a replication.  By Student's t over the batches, each the mean of its
        replications.  A maximum cannot be extrapolated so: it was kept (1) or was not (0).
        """
        means = np.mean(np.array(margins), axis=0)
        if self.share == 1.0:
            return float(means.sum() <= 0)
        return confidence_not_above_zero(list(means))

    def kept(self, margins: list[tuple[float, ...]]) -> bool:
        """Whether every replication kept it."""
        # A rounding of the last bits must not turn 5 % into more than 5 %.
        return all(sum(run) <= 1e-6 for run in margins)


def parse(text: str) -> Slo:
    """The promise in words.  Raises `SloError`."""
    match = _FORM.fullmatch(text.strip().lower())
    if match is None:
        raise SloError(f"slo: expected {EXPECTED}, got {text!r}")
    statistic, percent, sign, number, unit = match.groups()
    limit, strict = float(number) * SECONDS[unit], sign == "<"
    if strict and limit == 0:
        raise SloError(f"slo: no wait is shorter than 0 s; expected a longer time or <=, got {text!r}")
    if percent is not None and not 0 < float(percent) < 100:
        raise SloError(f"slo: a percentile lies between 0 and 100, such as p95, got {text!r}")
    share = None if statistic == "mean" else 1.0 if statistic == "max" else float(percent) / 100
    return Slo(text.strip(), limit, strict, share)
