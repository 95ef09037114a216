"""What `throughput.py` prints and draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

Figures = dict[str, dict[str, Any]]
"""What was measured of each row."""
Curve = list[tuple[float, float]]
"""(how many, seconds)."""
COLOURS = ("#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#999999")
"""Okabe and Ito's, which the colour-blind can tell apart."""


def print_size(tasks: int, rows: dict[str, tuple[str, str, dict[str, Any]]]) -> None:
    """A table of (name, group, figures)."""
    columns = f"{'seconds':>9}{'M tasks/s':>11}{'x SimPy':>9}{'x C++':>8}{'peak MiB':>10}  start times"
    print(f"\n{f'{tasks:,} tasks':34}{columns}")
    seconds = {name: float(found["seconds"]) for name, (_, _, found) in rows.items()}
    common = rows["whole"][1]
    for key, (name, group, found) in rows.items():
        took, count = seconds[key], tasks / 5 if key.startswith("month") else tasks
        simpy = f"{seconds['simpy'] / took:.1f}" if group == common and "simpy" in seconds else "-"
        cpp = f"{took / seconds['cpp']:.2f}" if group == common and "cpp" in seconds else "-"
        ticks = f"  {found['ticks']:,} ticks" if found["ticks"] else ""
        print(
            f"{name:34}{took:>9.4f}{count / took / 1e6:>11.3f}{simpy:>9}{cpp:>8}{found['peak_mib']:>10.0f}  "
            f"{found['starts']}{ticks}"
        )


def print_ticks(tasks: int, found: list[dict[str, float]]) -> None:
    """The same load, looked at more and more often."""
    print(
        f"\n{f'{tasks:,} tasks, ticks':34}{'taken, s':>9}{'us a tick':>11}{'quiet ones passed over, s':>27}"
    )
    for each in found:
        microseconds = 1e6 * each["taken"] / each["ticks"]
        print(f"{each['ticks']:>33,} {each['taken']:>9.3f}{microseconds:>11.1f}{each['passed']:>27.3f}")


def print_goals(million: Figures, file: dict[str, Any], start: list[float]) -> None:
    """What was wanted beside what was found."""
    lines: list[tuple[str, str, float, bool, str]] = []

    def goal(what: str, found: float, limit: float, unit: str, *, least: bool = False) -> None:
        ok = found >= limit if least else found <= limit
        lines.append((what, f"{'>=' if least else '<='} {limit:g} {unit}", found, ok, unit))

    if million:
        rate = {name: 1 / each["seconds"] for name, each in million.items()}
        goal("1 M tasks, whole controller, every tick", rate["whole"], 5, "M tasks/s", least=True)
        if "simpy" in rate:
            goal("  times SimPy's speed", rate["whole"] / rate["simpy"], 60, "x", least=True)
        goal("1 M tasks, quiet ticks passed over", rate["passing"], 5, "M tasks/s", least=True)
        if "cpp" in rate:
            goal("kernel alone, quiet ticks passed over, to C++", rate["cpp"] / rate["resting"], 1.5, "x")
            goal("  a look from Python every tick, to C++", rate["cpp"] / rate["kernel"], 1.5, "x")
        goal("DAG runs, 1 M tasks, every tick", rate["dag"], 4, "M tasks/s", least=True)
        goal("30 days at 10 s, every tick", million["month"]["seconds"], 4, "s")
        goal("30 days at 10 s, quiet ticks passed over", million["month-passing"]["seconds"], 2, "s")
    if file:
        goal("10 M tasks from Parquet", sum(file["steps"].values()), 6, "s")
        goal("  peak memory", file["peak_mib"] * 2**20 / 1e9, 1.2, "GB")
    goal("`autoscaler simulate`, 5,000 tasks, median", float(np.median(start)), 1.5, "s")
    print(f"\n{'':46}{'found':>8}  wanted")
    for what, wanted, found, ok, _ in lines:
        print(f"{what:46}{found:>8.2f}  {wanted}{'' if ok else '   MISSED'}")
    if file:
        print(
            "  10 M tasks by step:", ", ".join(f"{step} {took:.2f} s" for step, took in file["steps"].items())
        )
    print(f"  `autoscaler simulate` at best {start[0]:.2f} s, of {len(start)}")


def fitted(curve: Curve) -> float:
    """The power with which the time grows."""
    many, seconds = np.array(curve).T
    return float(np.polyfit(np.log(many), np.log(seconds), 1)[0])


def save_plot(path: Path, curves: dict[str, Curve], ticks: list[dict[str, float]]) -> None:
    """Time against tasks, and against ticks."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for colour, (name, curve) in zip(COLOURS, curves.items(), strict=False):
        left.loglog(*zip(*curve, strict=True), "o-", color=colour, label=name)
    left.set(xlabel="tasks", ylabel="seconds", title="Time against tasks (a tick every 30 s)")
    if ticks:
        count = [each["ticks"] for each in ticks]
        right.loglog(
            count, [each["taken"] for each in ticks], "o-", color=COLOURS[0], label="every tick taken"
        )
        right.loglog(
            count,
            [each["passed"] for each in ticks],
            "s--",
            color=COLOURS[2],
            label="quiet ticks passed over",
        )
    right.set(xlabel="ticks", ylabel="seconds", title="Time against ticks (100,000 tasks)")
    for axes in (left, right):
        axes.grid(which="major", alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(path, dpi=110)
    print(f"\n{path}")
