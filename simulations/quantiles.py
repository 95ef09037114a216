"""One kind of distribution for every delay: the values at equally spaced quantiles, linear in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import NormalDist

import numpy as np

from policies.model import FloatArray

LONGEST_SECONDS = 1e6
"""Eleven days: no delay of Airflow's or ECS's is longer, so more is a mistake of units."""
STEPS = 100
"""Quantiles that stand for a distribution with a formula: one a percent."""


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Seconds at equally spaced quantiles, the smallest first and the largest last.

    One value is a constant; the sorted measurements of something are its distribution.
    """

    seconds: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.seconds:
            raise ValueError("a distribution needs at least one value, in seconds")
        for value in self.seconds:
            if not (isfinite(value) and 0 <= value <= LONGEST_SECONDS):
                raise ValueError(f"a delay must be 0 to {LONGEST_SECONDS:g} seconds, got {value:g}")
        if any(after < before for before, after in zip(self.seconds, self.seconds[1:], strict=False)):
            raise ValueError("quantiles must be in ascending order; sort the measurements")

    @property
    def constant(self) -> bool:
        """Whether every draw is the same."""
        return self.seconds[0] == self.seconds[-1]

    @property
    def mean(self) -> float:
        """The expected draw."""
        values = self.seconds
        if len(values) == 1:
            return values[0]
        return (sum(values) - (values[0] + values[-1]) / 2) / (len(values) - 1)

    @property
    def words(self) -> str:
        """For a person."""
        if self.constant:
            return f"{self.seconds[0]:g} s"
        return f"{self.seconds[0]:g} to {self.seconds[-1]:g} s, {self.mean:.3g} s on average"

    def at(self, share: FloatArray) -> FloatArray:
        """The quantiles at shares from 0 to 1."""
        places = np.linspace(0.0, 1.0, len(self.seconds))
        found: FloatArray = np.interp(share, places, np.array(self.seconds))
        return found

    def draw(self, generator: np.random.Generator, count: int) -> FloatArray:
        """So many draws; one number of the generator for each, whatever the distribution."""
        return self.at(generator.random(count))


NONE = Quantiles((0.0,))
"""No delay at all."""


def constant(seconds: float) -> Quantiles:
    """Always the same."""
    return Quantiles((seconds,))


def measured(seconds: Sequence[float]) -> Quantiles:
    """As it was measured, in any order."""
    return Quantiles(tuple(sorted(seconds)))


def chance(share: float, seconds: float) -> Quantiles:
    """So many seconds with a probability, else none; the probability in whole percents.

    Raises `ValueError` for a probability that is none.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a probability must be 0 to 1, got {share:g}")
    often = round(share * STEPS)
    if often in {0, STEPS}:
        return constant(seconds if often else 0.0)
    # A step from 0 to `seconds`, whose middle is at the wanted share.
    below = STEPS - often
    values = [0.0] * below + [seconds / 2] + [seconds] * often
    return Quantiles(tuple(values))


def lognormal(median_seconds: float, spread: float) -> Quantiles:
    """Its middle, and the standard deviation of the logarithm; cut at 0.5 and 99.5 %.

    Raises `ValueError` for what is negative or not finite.
    """
    if not (isfinite(spread) and spread >= 0):
        raise ValueError(f"a spread must be 0 or more, got {spread:g}")
    shares = [0.005 + 0.99 * step / STEPS for step in range(STEPS + 1)]
    normal = NormalDist()
    return Quantiles(tuple(median_seconds * float(np.exp(spread * normal.inv_cdf(p))) for p in shares))
