"""When in the week: tasks, waits and workers by weekday and hour, in UTC."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from policies.model import FloatArray, IntArray
from simulations.describe import DAY, HOUR, WEEKDAYS
from simulations.report.markup import Markup, joined, tag
from simulations.report.timeline import Timeline
from simulations.run import Result
from simulations.trace import MONDAY
from simulations.waits import grouped, of_ended
from simulations.words import amount, span

CELLS = 7 * 24
ROW_PIXELS = 22
LABEL_SHARE = 9.0
"""Of the width, in percent: the names of the weekdays."""
RAMP = ("#00204d", "#2b4470", "#575c6d", "#7f7c75", "#a69d75", "#d3c164", "#ffea46")
"""Cividis: equal steps look equal, with and without colour blindness."""


def heat_maps(result: Result, line: Timeline) -> Markup:
    """Three pictures: tasks queued an hour, the wait of 95 %, ready workers."""
    cell = _cells(of_ended(result, result.queued_at))
    waits = grouped(cell, CELLS, of_ended(result, result.waited_seconds), (0.95,))
    seen = np.bincount(_cells(line.sample_times), minlength=CELLS)
    hours = seen * (line.sample_times[1] - line.sample_times[0]) / HOUR
    with np.errstate(divide="ignore", invalid="ignore"):
        rate: FloatArray = waits.tasks / hours
        sums = np.bincount(_cells(line.sample_times), weights=line.ready_samples, minlength=CELLS)
        ready: FloatArray = sums / seen
    missing = seen == 0
    rate[missing] = ready[missing] = np.nan
    return tag(
        "div",
        _map("Tasks queued in an hour", rate, amount),
        _map("95 % waited at most", waits.quantiles[0], span),
        _map("Ready workers (mean)", ready, amount),
        class_="maps",
    )


def _cells(at: FloatArray) -> IntArray:
    since = at - MONDAY
    return ((since // DAY % 7) * 24 + since % DAY // HOUR).astype(np.int64)


def _map(title: str, values: FloatArray, words: Callable[[float], str]) -> Markup:
    days = [day for day in range(7) if not np.isnan(values[day * 24 : day * 24 + 24]).all()]
    known = values[~np.isnan(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    of_day = values.reshape(7, 24)
    rows = [
        joined(
            tag("text", WEEKDAYS[day], x=2, y=row * ROW_PIXELS + 15),
            *(
                _cell((day, hour), row, float(value), (low, high), words)
                for hour, value in enumerate(of_day[day])
            ),
        )
        for row, day in enumerate(days)
    ]
    hours = [
        tag("text", f"{hour:02d}", x=_x(hour), y=len(days) * ROW_PIXELS + 13) for hour in range(0, 24, 3)
    ]
    picture = tag(
        "svg",
        *rows,
        *hours,
        width="100%",
        height=len(days) * ROW_PIXELS + 18,
        role="img",
        aria_label=f"{title}, by weekday and hour",
    )
    return tag("figure", tag("figcaption", tag("strong", title), _scale(low, high, words)), picture)


def _cell(
    when: tuple[int, int], row: int, value: float, ends: tuple[float, float], words: Callable[[float], str]
) -> Markup | None:
    if np.isnan(value):
        return None
    day, hour = when
    name = f"{WEEKDAYS[day]} {hour:02d}:00-{hour:02d}:59 UTC: {words(value)}"
    return tag(
        "rect",
        tag("title", name),
        x=_x(hour),
        y=row * ROW_PIXELS + 1,
        width=f"{(100 - LABEL_SHARE) / 24 - 0.2:.3f}%",
        height=ROW_PIXELS - 2,
        fill=_colour(value, *ends),
    )


def _x(hour: int) -> str:
    return f"{LABEL_SHARE + hour * (100 - LABEL_SHARE) / 24:.3f}%"


def _colour(value: float, low: float, high: float) -> str:
    """By rank among equal steps of the ramp; what is all the same is all dark."""
    part = (value - low) / (high - low) if high > low else 0.0
    return RAMP[min(int(part * len(RAMP)), len(RAMP) - 1)]


def _scale(low: float, high: float, words: Callable[[float], str]) -> Markup:
    swatches = [
        tag("rect", x=14 * number, y=0, width=14, height=10, fill=colour)
        for number, colour in enumerate(RAMP)
    ]
    picture = tag("svg", *swatches, width=14 * len(RAMP), height=10, aria_hidden="true")
    return tag("p", words(low), " ", picture, " ", words(high), class_="keys")
