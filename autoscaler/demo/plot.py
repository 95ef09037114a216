"""The picture of a demonstration: as a PNG, and drawn with characters in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import plotext
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from autoscaler.demo.real_daemon import Choice
from autoscaler.demo.story import Story, WorkerState

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUEUED, RUNNING, DESIRED, PENDING, STOPPING = "#d98c3f", "#3f7fbf", "#222222", "#e3c765", "#b9a3c9"
TERMINAL_HEIGHT_ROWS = 13
NARROWEST_COLUMNS = 40


def save_png(story: Story, path: Path) -> None:
    """Writes the picture.  Raises `OSError`."""
    figure = Figure(figsize=(10, 6.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title(story))
    tasks, workers = figure.subplots(2, 1, sharex=True)
    _draw_tasks(tasks, story)
    _draw_workers(workers, story)
    workers.set_xlabel("time since the start (s)")
    workers.set_xlim(0, story.seconds)
    figure.savefig(path, format="png")


def title(story: Story) -> str:
    """What the picture shows, in a line."""
    script = story.script
    return (
        f"autoscaler demo: {story.tasks} tasks on {script.min_workers} to {script.max_workers} workers "
        f"of {script.slots_per_worker} slots"
    )


def for_terminal(story: Story, width_columns: int, *, color: bool) -> str:
    """The same picture as text of this width."""
    width_columns = max(NARROWEST_COLUMNS, width_columns)
    load = [float(sample.load) for sample in story.samples]
    running = [float(sample.running) for sample in story.samples]
    desired = [float(sample.desired) for sample in story.samples]
    workers = _counts(story, WorkerState.RUNNING)
    text = "\n".join(
        (
            _panel("tasks", story, {"queued + running": load, "running": running}, width_columns),
            _panel("workers", story, {"desired": desired, "running": workers}, width_columns),
        )
    )
    return text if color else str(plotext.uncolorize(text))


def _panel(what: str, story: Story, lines: Mapping[str, list[float]], width_columns: int) -> str:
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(width_columns, TERMINAL_HEIGHT_ROWS)
    plotext.title(what)
    plotext.xlabel("seconds since the start")
    seconds = [sample.seconds for sample in story.samples]
    for (label, values), color in zip(lines.items(), ("orange", "blue"), strict=True):
        plotext.plot(seconds, values, label=label, color=color)
    top = max(1, *map(int, map(max, lines.values())))
    plotext.ylim(0, top + max(1, top // 4))  # room for the legend
    plotext.yticks([float(tick) for tick in range(0, top + 1, max(1, top // 4))])
    return str(plotext.build())


def _counts(story: Story, state: WorkerState) -> list[float]:
    return [float(sample.count(state)) for sample in story.samples]


def _draw_tasks(axes: Axes, story: Story) -> None:
    seconds = [sample.seconds for sample in story.samples]
    running = [sample.running for sample in story.samples]
    load = [sample.load for sample in story.samples]
    slots = [sample.count(WorkerState.RUNNING) * story.script.slots_per_worker for sample in story.samples]
    axes.fill_between(seconds, running, step="post", color=RUNNING, alpha=0.8, label="running")
    axes.fill_between(seconds, running, load, step="post", color=QUEUED, alpha=0.8, label="queued")
    axes.step(seconds, slots, where="post", color=DESIRED, linewidth=1.2, label="slots of running workers")
    _finish(axes, "Load", "tasks")


def _draw_workers(axes: Axes, story: Story) -> None:
    seconds = [sample.seconds for sample in story.samples]
    floor = [0.0] * len(seconds)
    for state, color in (
        (WorkerState.RUNNING, RUNNING),
        (WorkerState.PENDING, PENDING),
        (WorkerState.STOPPING, STOPPING),
    ):
        top = [low + more for low, more in zip(floor, _counts(story, state), strict=True)]
        axes.fill_between(seconds, floor, top, step="post", color=color, alpha=0.8, label=state.value)
        floor = top
    desired = [sample.desired for sample in story.samples]
    axes.step(seconds, desired, where="post", color=DESIRED, linewidth=1.2, label="desired")
    for choice in story.choices:
        _mark(axes, story, choice)
    axes.margins(y=0.1)
    _finish(axes, "Fleet", "workers")


def _mark(axes: Axes, story: Story, choice: Choice) -> None:
    """Says at a step of the desired count what it was and why: out on its left, in on its right."""
    if not choice.moves or choice.current is None or choice.desired is None:
        return
    out = choice.desired > choice.current
    axes.annotate(
        f"{choice.current} → {choice.desired}{' ' if out else chr(10)}{choice.reason.replace('_', ' ')}",
        (choice.at - story.started_at, choice.desired if out else (choice.current + choice.desired) / 2),
        xytext=(-5 if out else 5, 0),
        textcoords="offset points",
        fontsize=8,
        ha="right" if out else "left",
        va="center",
    )


def _finish(axes: Axes, heading: str, unit: str) -> None:
    axes.set_title(heading, loc="left", fontsize=10)
    axes.set_ylabel(unit)
    axes.set_ylim(0, axes.get_ylim()[1])
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, fontsize=8, frameon=False)
