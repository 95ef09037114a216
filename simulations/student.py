"""Student's t: how sure a mean of few values is."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np


def half_width(values: Sequence[float], confidence: float) -> float | None:
    """Half of the two-sided confidence interval of the mean; None of a single value, which has none.

    Worked example: of 1, 2, 3 at 0.95, t(2) = 4.303 times 1 / sqrt(3) = 2.484.
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - a third of a second, which most commands can do without

    count = len(values)
    if count < 2:
        return None
    quantile = float(stdtrit(count - 1, 0.5 + confidence / 2))
    return quantile * float(np.std(values, ddof=1)) / sqrt(count)


def confidence_not_above_zero(values: Sequence[float]) -> float:
    """How sure it is, one-sided, that the mean behind these values is 0 or less; 0 to 1.

    Without any spread, and of a single value, it is the sign of the mean and nothing more.
    """
    from scipy.special import stdtr  # noqa: PLC0415

    mean, count = float(np.mean(values)), len(values)
    spread = float(np.std(values, ddof=1)) if count > 1 else 0.0
    if spread == 0.0:
        return float(mean <= 0)
    return float(stdtr(count - 1, -mean * sqrt(count) / spread))
