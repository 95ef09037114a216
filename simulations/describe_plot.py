"""A trace in one picture: load over time, when tasks arrive, how long they take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from policies.model import FloatArray
from simulations.describe import DAY, HOUR, WEEKDAYS, concurrency
from simulations.trace import MONDAY, Trace, TraceError

BINS = 1_200
"""Columns of the first panel: as many as the picture has room for, whatever the trace's size."""


def plot(trace: Trace, path: Path) -> None:
    """Writes the picture.  Raises `TraceError` if it cannot."""
    figure = Figure(figsize=(11, 8), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{trace.source}: {len(trace):,} tasks")
    panels = figure.subplot_mosaic([["load", "load"], ["arrivals", "durations"]])
    load, arrivals, durations = (panels[name] for name in ("load", "arrivals", "durations"))
    times, highest = _peaks(*concurrency(trace))
    load.fill_between(times / DAY, highest, step="post", color="#0072b2", alpha=0.8, linewidth=0)
    load.set(title="Load with unlimited workers", xlabel="days from the start", ylabel="busy slots (peak)")
    at = trace.starts_at + trace.queued_at - MONDAY
    shown = np.histogram2d(at // DAY % 7, at % DAY // HOUR, bins=(np.arange(8), np.arange(25)))[0]
    picture = arrivals.imshow(shown, aspect="auto", cmap="cividis")
    arrivals.set(title="Arrivals", xlabel="hour of the day (UTC)", yticks=range(7), yticklabels=WEEKDAYS)
    figure.colorbar(picture, ax=arrivals, label="tasks")
    seconds = np.maximum(trace.duration_seconds, 1e-3)
    edges = np.geomspace(seconds.min(), max(seconds.max(), seconds.min() * 1.01), 60)
    durations.hist(seconds, bins=list(edges), color="#d55e00")
    durations.set(title="Durations", xlabel="seconds", ylabel="tasks", xscale="log")
    try:
        figure.savefig(path, dpi=110, metadata={} if path.suffix == ".svg" else None)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).partition(" (")[0]
        raise TraceError(f"{path}: the picture cannot be written: {reason}") from None


def _peaks(instants: FloatArray, busy: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(starts of equal bins, highest load in each)."""
    edges = np.linspace(instants[0], instants[-1], BINS + 1)
    bins = np.clip(np.searchsorted(edges, instants, side="right") - 1, 0, BINS - 1)
    highest = np.zeros(BINS)
    np.maximum.at(highest, bins, busy)
    # What a bin begins with is what the last change before it left.
    before = np.searchsorted(instants, edges[:-1], side="right") - 1
    return edges[:-1], np.maximum(highest, busy[before])
