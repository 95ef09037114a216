"""A run as a picture: load and slots, workers, waits, in one scale of time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from policies.model import FloatArray
from simulations.report import axes as scales
from simulations.report.answer import Answer
from simulations.report.run_page import timeline_of
from simulations.report.run_story import RunStory
from simulations.report.timeline import WAIT_BINS_EVERY, Timeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

# The Okabe-Ito palette: told apart by colour-blind people.
BLUE, ORANGE, RED, SKY = "#0072b2", "#e69f00", "#d55e00", "#56b4e9"
PINK, GREEN, INK, GREY = "#cc79a7", "#009e73", "#222222", "#777777"
HEIGHT_INCHES = 8.5
"""Of one target's three panels."""


def save_figure(stories: Sequence[RunStory], answer: Answer, path: Path) -> None:
    """Draws the run, targets below each other.  Raises `ValueError` if the file cannot be written."""
    from matplotlib import rc_context  # noqa: PLC0415 - heavy
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(11, HEIGHT_INCHES * len(stories)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    source = stories[0].result.trace.source
    figure.suptitle(f"{source}: {answer.headline()}", fontsize=11, parse_math=False)
    for part, story in zip(figure.subfigures(len(stories), squeeze=False)[:, 0], stories, strict=True):
        _draw(part, story)
    # Without a date, and with names that are not drawn by lot, the same run draws the same bytes.
    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower())
    try:
        with rc_context({"svg.hashsalt": "run"}):
            figure.savefig(path, metadata=undated)
    except OSError as error:
        raise ValueError(f"plot: {path} cannot be written: {error.strerror}") from None


def _draw(part: SubFigure, story: RunStory) -> None:
    line = timeline_of(story)
    load, workers, waits = part.subplots(3, 1, sharex=True)
    if story.name:
        part.suptitle(story.name, fontsize=11, parse_math=False)
    _draw_load(load, line)
    _draw_workers(workers, line)
    _draw_waits(waits, line, story)
    ticks = scales.time(line.starts_at, line.ends_at)
    waits.set_xticks([at for at, _ in ticks], [label for _, label in ticks])
    waits.set_xlim(line.starts_at, line.ends_at)
    begins = datetime.fromtimestamp(line.starts_at, UTC)
    waits.set_xlabel(f"time (UTC), from {begins:%-d %B %Y %H:%M}")


def _edges(line: Timeline, every: int = 1) -> FloatArray:
    return line.starts_at + line.bin_seconds * np.arange(0, line.bins + 1, every, dtype=np.float64)


def _draw_load(axes: Axes, line: Timeline) -> None:
    edges = _edges(line)
    axes.stairs(line.load.mean, edges, fill=True, color=ORANGE, label="queued (mean)")
    axes.stairs(line.running.mean, edges, fill=True, color=BLUE, label="running (mean)")
    axes.stairs(line.load.highest, edges, color=RED, linewidth=0.5, baseline=None, label="load, highest")
    slots = line.ready.mean * line.slots_per_worker
    axes.stairs(slots, edges, color=INK, linewidth=1, baseline=None, label="slots of ready workers (mean)")
    _finish(axes, "Load and slots", "slots")


def _draw_workers(axes: Axes, line: Timeline) -> None:
    edges = _edges(line)
    axes.stairs(
        line.ready.mean + line.pending.mean, edges, fill=True, color=PINK, label="on their way (mean)"
    )
    axes.stairs(line.ready.mean, edges, fill=True, color=BLUE, label="ready (mean)")
    axes.stairs(line.desired.highest, edges, color=INK, linewidth=1, baseline=None, label="desired, highest")
    _finish(axes, "Workers", "workers")


def _draw_waits(axes: Axes, line: Timeline, story: RunStory) -> None:
    edges = _edges(line, WAIT_BINS_EVERY)
    p50, p95 = line.waits.quantiles
    axes.stairs(scales.log_wait(np.nan_to_num(p50)), edges, fill=True, color=SKY, label="half at most")
    for seconds, color, width, label in (
        (line.waits.highest, GREY, 1.0, "longest"),
        (p95, RED, 1.5, "95 % at most"),
    ):
        axes.hlines(
            scales.log_wait(seconds), edges[:-1], edges[1:], colors=color, linewidth=width, label=label
        )
    longest = float(np.nanmax(line.waits.highest, initial=10.0))
    if (slo := story.slo) is not None:
        longest = max(longest, 2 * slo.limit_seconds)
        level = float(scales.log_wait(np.array(slo.limit_seconds)))
        axes.axhline(level, color=GREEN, linestyle="--", linewidth=1.2, label=f"promise: {slo.text}")
    ticks = scales.waits(longest)
    axes.set_yticks([0, *(place for place, _ in ticks)], ["0 s", *(label for _, label in ticks)])
    axes.set_ylim(0, float(scales.log_wait(np.array(longest))) * 1.05)
    _finish(axes, "Waits, by when a task was queued", "time in the queue")


def _finish(axes: Axes, heading: str, unit: str) -> None:
    axes.set_title(heading, loc="left", fontsize=10)
    axes.set_ylabel(unit)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, fontsize=8, frameon=False)
