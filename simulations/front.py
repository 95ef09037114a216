"""The Pareto front of cost against wait, and its picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

# The Okabe-Ito palette: told apart by colour-blind people, and by their shapes in print.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8C8C8C"
FORMATS = (".png", ".svg", ".pdf")


def pareto(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which points are on the front: none other is as good in both and better in one."""
    best = float("inf")
    on_front = [False] * len(points)
    ahead: tuple[float, float] | None = None
    for number in sorted(range(len(points)), key=lambda each: points[each]):
        point = points[number]
        on_front[number] = point[1] < best or point == ahead
        if point[1] < best:
            best, ahead = point[1], point
    return on_front


def save_plot(path: Path, points: Sequence[tuple[float, float]], title: str) -> None:
    """Draws (cost, p95 wait) of every setting, the front joined.

    Raises `ValueError` for a name without a known ending, and if the file cannot be written.
    """
    check_plot(path)
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - heavy
    from matplotlib.figure import Figure  # noqa: PLC0415

    on_front = pareto(points)
    order = sorted(range(len(points)), key=lambda each: points[each])
    cost, wait = [[points[each][axis] for each in order if on_front[each]] for axis in (0, 1)]
    rest = [[points[each][axis] for each in order if not on_front[each]] for axis in (0, 1)]
    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel("cost of the trace (US$)")
    axes.set_ylabel("95th percentile of the task wait (s)")
    axes.grid(visible=True, alpha=0.3)
    if rest[0]:
        axes.scatter(rest[0], rest[1], s=18, c=GREY, marker="x", label="beaten in cost and wait")
    # From one setting to the next nothing is promised, so the line is a staircase.
    axes.step(cost, wait, where="post", color=BLUE, linewidth=1)
    axes.scatter(cost, wait, s=36, c=ORANGE, edgecolors=BLUE, zorder=3, label="Pareto front")
    axes.legend()
    try:
        figure.savefig(path)
    except OSError as error:
        raise ValueError(f"plot: {path} cannot be written: {error.strerror}") from None


def check_plot(path: Path) -> None:
    """Raises `ValueError` for a picture that could not be saved, before hours are spent."""
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"plot: expected a file named {', '.join(FORMATS)}, got {path}")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"plot: {path} cannot be written: there is no such folder")
