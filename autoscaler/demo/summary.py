"""What a demonstration showed, in figures, and whether it is what was promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

from rich.table import Table

from autoscaler.demo.play import Outcome
from autoscaler.demo.story import WorkerState


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The figures.  Durations are seconds."""

    seconds: float
    tasks: int
    tasks_run: int
    tasks_lost: int
    """Started and not finished, or never started."""
    wait_p50_seconds: float
    wait_p95_seconds: float
    wait_max_seconds: float
    workers_minimum: int
    workers_peak: int
    workers_at_end: int
    scale_outs: int
    scale_ins: int
    worker_seconds: float
    went_out: bool
    came_back: bool

    @property
    def failure(self) -> str:
        """Why the demonstration does not show what it promises; empty: it does."""
        if self.tasks_lost:
            return f"{self.tasks_lost} of {self.tasks} tasks did not finish"
        if not self.went_out:
            return f"the fleet never went out: at most {self.workers_peak} workers ran"
        if not self.came_back:
            return (
                f"the fleet did not come back: {self.workers_at_end} workers at the end, "
                f"expected {self.workers_minimum}"
            )
        return ""


def summarised(outcome: Outcome) -> Summary:
    """The figures of a play."""
    story = outcome.story
    waits = sorted(fate.wait_seconds for fate in outcome.fates if fate.wait_seconds is not None)
    run = sum(fate.done for fate in outcome.fates)
    moves = [after - before for before, after in pairwise(outcome.sizes)]
    last = story.samples[-1]
    return Summary(
        seconds=story.seconds,
        tasks=story.tasks,
        tasks_run=run,
        tasks_lost=story.tasks - run,
        wait_p50_seconds=quantile(waits, 0.5),
        wait_p95_seconds=quantile(waits, 0.95),
        wait_max_seconds=quantile(waits, 1.0),
        workers_minimum=story.script.min_workers,
        workers_peak=story.peak,
        workers_at_end=last.count(WorkerState.RUNNING),
        scale_outs=sum(move > 0 for move in moves),
        scale_ins=sum(move < 0 for move in moves),
        worker_seconds=outcome.worker_seconds,
        went_out=story.went_out,
        came_back=story.came_back,
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share do not exceed: of 20 waits, p95 is the 19th."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else 0.0


def document(outcome: Outcome, summary: Summary, plot: Path) -> dict[str, Any]:
    """All of it as JSON values: verdict, figures, samples, decisions."""
    story = outcome.story
    return {
        "ok": not summary.failure,
        "failure": summary.failure or None,
        "plot": str(plot),
        "summary": {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in asdict(summary).items()
        },
        "samples": [
            {
                "seconds": round(sample.seconds, 2),
                "queued": sample.queued,
                "running": sample.running,
                "desired": sample.desired,
                **{f"workers_{state}": sample.count(state) for state in WorkerState},
            }
            for sample in story.samples
        ],
        "decisions": [
            {
                "seconds": round(choice.at - story.started_at, 2),
                "current": choice.current,
                "desired": choice.desired,
                "reason": choice.reason,
                "trail": choice.trail,
            }
            for choice in story.choices
        ],
    }


def table(summary: Summary) -> Table:
    """The figures for a person."""
    rows = Table.grid(padding=(0, 2))
    waits = (summary.wait_p50_seconds, summary.wait_p95_seconds, summary.wait_max_seconds)
    workers = (
        f"{summary.workers_minimum} at least, {summary.workers_peak} at the peak, "
        f"{summary.workers_at_end} at the end"
    )
    for name, value in (
        ("tasks run", f"{summary.tasks_run} of {summary.tasks}, {summary.tasks_lost} lost"),
        ("waits", "p50 {:.1f} s, p95 {:.1f} s, longest {:.1f} s".format(*waits)),
        ("workers", workers),
        ("scale-outs, scale-ins", f"{summary.scale_outs}, {summary.scale_ins}"),
        ("worker-seconds", f"{summary.worker_seconds:.0f}"),
        ("went out and came back", "yes" if summary.went_out and summary.came_back else "no"),
    ):
        rows.add_row(name, value)
    return rows
