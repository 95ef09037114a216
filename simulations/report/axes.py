"""Where an axis has its lines, and what they are called."""

from __future__ import annotations

from datetime import UTC, datetime
from math import ceil, floor, log10

import numpy as np

from policies.model import FloatArray
from simulations.trace import MONDAY

Tick = tuple[float, str]
"""(value, label)"""

DAY = 86_400.0
TIME_STEPS = (
    *(1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(60.0 * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(3600.0 * hours for hours in (1, 2, 3, 6, 12)),
    *(DAY * days for days in (1, 2, 7, 14, 28, 56, 91, 182, 364, 3640, 36_400)),
)
WAIT_TICKS = (
    (1.0, "1 s"),
    (10.0, "10 s"),
    (60.0, "1 min"),
    (600.0, "10 min"),
    (3600.0, "1 h"),
    (36_000.0, "10 h"),
    (4 * DAY, "4 d"),
    (40 * DAY, "40 d"),
    (365 * DAY, "1 year"),
)


def linear(top: float, most: int = 4) -> list[Tick]:
    """At most `most` round numbers above zero and up to `top`."""
    if top <= 0:
        return []
    step = 10.0 ** floor(log10(top / most))
    step *= next(factor for factor in (1, 2, 5, 10, 20) if top / (factor * step) <= most)
    digits = max(0, -floor(log10(step)))
    return [(number * step, f"{number * step:,.{digits}f}") for number in range(1, floor(top / step) + 1)]


def time(starts_at: float, ends_at: float, most: int = 8) -> list[Tick]:
    """At most `most` round instants, in UTC; midnights are called by their day."""
    step = next((each for each in TIME_STEPS if (ends_at - starts_at) / each <= most), TIME_STEPS[-1])
    first = MONDAY + ceil((starts_at - MONDAY) / step) * step
    instants = [first + number * step for number in range(floor((ends_at - first) / step) + 1)]
    return [(at, _called(at, step)) for at in instants]


def _called(at: float, step: float) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    if at % DAY == 0:
        return moment.strftime("%-d %b %Y" if step > 100 * DAY else "%-d %b")
    return moment.strftime("%H:%M" if step >= 60 else "%H:%M:%S")


def log_wait(seconds: FloatArray) -> FloatArray:
    """Waits on an axis on which a second, a minute and an hour are all seen, and zero is zero."""
    return np.log10(1.0 + seconds)


def waits(top_seconds: float) -> list[Tick]:
    """(place on the axis of `log_wait`, label) up to `top_seconds`."""
    return [(log10(1 + at), label) for at, label in WAIT_TICKS if at <= top_seconds]
