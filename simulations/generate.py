"""Made-up workloads: seeded, so that the same seed gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from policies.model import FloatArray, IntArray

if TYPE_CHECKING:
    import polars as pl

DAY: Final = 86_400.0
HOUR: Final = 3600.0
SPREAD: Final = 1.0
"""Of the logarithm of durations: p95 / p50 = 5, as in the middle of the traces we know."""
TAIL: Final = 1.3
"""Pareto's alpha of heavy tails: a finite mean, no finite variance."""
QUEUE: Final = "default"


class Workload(StrEnum):
    """What kind of load."""

    POISSON = "poisson"
    """Independent arrivals at a constant rate."""
    DIURNAL = "diurnal"
    """Five times as many at 14:00 as at 02:00, and 40 % of it on week-ends."""
    CRON = "cron"
    """Schedules: half of the tasks at full hours, a quarter each five minutes, a quarter at 02:00."""
    BURSTS = "bursts"
    """A third evenly, the rest in bursts of about 200 within a minute or two."""
    HEAVY_TAILS = "heavy-tails"
    """Evenly, but a few tasks do most of the work."""
    DAGS = "dags"
    """Runs at full and half hours that fan out over up to dozens of tasks and join again."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to make up.  Raises `ValueError` for what cannot be."""

    workload: Workload
    tasks: int
    days: float
    mean_concurrency: float
    """Busy slots on average over the days, with unlimited workers."""

    def __post_init__(self) -> None:
        if self.tasks < 1:
            raise ValueError(f"tasks: expected at least 1, got {self.tasks}")
        if not 0 < self.days <= 3650:
            raise ValueError(f"days: expected more than 0 and at most 3650, got {self.days:g}")
        if not 0 < self.mean_concurrency < float("inf"):
            raise ValueError(f"mean concurrency: expected more than 0, got {self.mean_concurrency:g}")

    @property
    def span_seconds(self) -> float:
        """The time in which tasks arrive."""
        return self.days * DAY


def generate(recipe: Recipe, seed: int) -> pl.DataFrame:
    """A trace from a Monday's midnight on, in order of arrival."""
    rng = np.random.default_rng(seed)
    if recipe.workload is Workload.DAGS:
        return _dags(recipe, rng)
    arrivals = np.sort(_ARRIVALS[recipe.workload](rng, recipe.tasks, recipe.span_seconds))
    duration = _durations(recipe, rng)
    return _frame(arrivals, duration, [f"task-{row + 1}" for row in range(recipe.tasks)])


def _even(rng: np.random.Generator, tasks: int, span: float) -> FloatArray:
    return rng.uniform(0.0, span, tasks)


def _diurnal(rng: np.random.Generator, tasks: int, span: float) -> FloatArray:
    minutes = np.arange(0.0, span, 60.0)
    of_day = np.cos((minutes % DAY / HOUR - 14.0) / 24.0 * 2 * np.pi)
    weekend = minutes // DAY % 7 >= 5
    rate = (1.0 + of_day * 2 / 3) * np.where(weekend, 0.4, 1.0)
    share = np.concatenate(([0.0], np.cumsum(rate) / rate.sum()))
    edges = np.append(minutes, span)
    arrivals: FloatArray = np.interp(rng.uniform(0.0, 1.0, tasks), share, edges)
    return arrivals


def _cron(rng: np.random.Generator, tasks: int, span: float) -> FloatArray:
    kinds = rng.choice(3, tasks, p=(0.5, 0.25, 0.25))
    period = np.array([HOUR, 300.0, DAY])[kinds]
    offset = np.array([0.0, 0.0, 2 * HOUR])[kinds]
    fires = offset + period * np.floor(rng.uniform(0.0, 1.0, tasks) * np.maximum(1.0, span / period))
    # A scheduler takes some seconds to publish a pile.
    late = np.minimum(fires, span) + rng.exponential(3.0, tasks)
    arrivals: FloatArray = np.minimum(late, span)
    return arrivals


def _bursts(rng: np.random.Generator, tasks: int, span: float) -> FloatArray:
    centres = rng.uniform(0.0, span, max(1, tasks // 300))
    inside = rng.choice(centres, tasks) + rng.exponential(60.0, tasks)
    even = rng.uniform(0.0, span, tasks)
    return np.minimum(np.where(rng.uniform(0.0, 1.0, tasks) < 1 / 3, even, inside), span)


_ARRIVALS: Mapping[Workload, Callable[[np.random.Generator, int, float], FloatArray]] = {
    Workload.POISSON: _even,
    Workload.DIURNAL: _diurnal,
    Workload.CRON: _cron,
    Workload.BURSTS: _bursts,
    Workload.HEAVY_TAILS: _even,
}


def _durations(recipe: Recipe, rng: np.random.Generator) -> FloatArray:
    if recipe.workload is Workload.HEAVY_TAILS:
        shape = 1.0 + rng.pareto(TAIL, recipe.tasks)
    else:
        shape = rng.lognormal(0.0, SPREAD, recipe.tasks)
    seconds: FloatArray = shape * (recipe.mean_concurrency * recipe.span_seconds / shape.sum())
    return seconds


def _dags(recipe: Recipe, rng: np.random.Generator) -> pl.DataFrame:
    """Runs of start -> width x shard -> join; the last run is as wide as there are tasks left."""
    widths: list[int] = []
    left = recipe.tasks
    while left > 0:
        width = int(min(rng.geometric(1 / 8), 60, max(1, left - 2)))
        widths.append(width)
        left -= width + 2
    slots = max(1, int(recipe.span_seconds // (HOUR / 2)))
    starts = np.sort(rng.integers(0, slots, len(widths))) * (HOUR / 2) + rng.exponential(2.0, len(widths))
    duration = np.round(_durations(recipe, rng), 3)
    columns = _Columns([], [], [], [])
    for number, (width, start) in enumerate(zip(widths, starts.tolist(), strict=True)):
        columns.run(number, width, min(round(start, 3), recipe.span_seconds), duration)
    frame = _frame(np.array(columns.queued_at), duration, columns.keys, columns.parents, columns.groups)
    return frame.sort("queued_at", maintain_order=True)


@dataclass(frozen=True, slots=True)
class _Columns:
    queued_at: list[float]
    keys: list[str]
    parents: list[str]
    groups: list[str]

    def run(self, number: int, width: int, start: float, duration: FloatArray) -> None:
        """One run, as far as there are tasks; each task at its earliest."""
        group = f"fan-{width}/run-{number + 1}"
        names = ["start", *(f"shard-{shard + 1}" for shard in range(width)), "join"]
        first = len(self.keys)
        names = names[: len(duration) - first]
        fanned_out_at = start + float(duration[first])
        shards = duration[first + 1 : first + 1 + width]
        joined_at = fanned_out_at + (float(shards.max()) if len(shards) else 0.0)
        below = {"start": (start, ""), "join": (joined_at, ";".join(f"{group}/{n}" for n in names[1:-1]))}
        for name in names:
            at, parents = below.get(name, (fanned_out_at, f"{group}/start"))
            self.queued_at.append(at)
            self.keys.append(f"{group}/{name}")
            self.parents.append(parents)
            self.groups.append(group)


def _frame(
    queued_at: FloatArray,
    duration: FloatArray,
    keys: list[str],
    parents: list[str] | None = None,
    groups: list[str] | None = None,
) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415 - heavy, and only needed where a trace is made

    one: IntArray = np.ones(len(keys), dtype=np.int64)
    columns = {
        "task_key": pl.Series(keys),
        "queued_at": np.round(queued_at, 3),
        "duration_s": np.round(duration, 3),
        "slots": one,
        "queue": pl.Series([QUEUE] * len(keys)),
    }
    if parents is not None and groups is not None:
        dags = [group.partition("/")[0] for group in groups]
        columns |= {"group": pl.Series(groups), "dag": pl.Series(dags), "parents": pl.Series(parents)}
    return pl.DataFrame(columns)
