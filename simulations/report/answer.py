"""The answer in words: what the fleet cost, how long tasks waited, whether the promise held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from simulations.promise import Promise
from simulations.score import Score
from simulations.words import count, share, span, usd

DAY_HOURS = 24.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The figures of a run, or of several targets together, and what became of the promise."""

    figures: Score
    promise: Promise | None = None

    def headline(self) -> str:
        """The answer in one sentence."""
        cost = f"{usd(self.figures.cost_usd)} for {span(3600 * self.figures.run_hours)}"
        if self.promise is None:
            return f"{cost}; 95 % of the tasks waited at most {span(self.figures.wait_p95_seconds)}"
        kept = "kept" if self.promise.kept else "broken"
        return f"The promise “{self.promise.slo.text}” was {kept}: {span(self.promise.seconds)}, at {cost}"

    def sentences(self) -> Iterator[str]:
        """What happened, for somebody who was not there."""
        figures = self.figures
        a_day = figures.cost_usd / figures.run_hours * DAY_HOURS if figures.run_hours else 0.0
        yield (
            f"{count(figures.tasks, 'task')} ran on at most {count(figures.peak_workers, 'worker')}. "
            f"That took {figures.worker_hours:,.0f} worker-hours and cost {usd(figures.cost_usd)}, "
            f"{usd(a_day)} a day{_parts(figures)}. Of the slot time that was paid for, "
            f"{100 * figures.idle_share:.0f} % held no task."
        )
        yield (
            f"Half of the tasks waited at most {span(figures.wait_p50_seconds)} for a slot, 95 % at most "
            f"{span(figures.wait_p95_seconds)}; the longest wait was {span(figures.wait_max_seconds)}."
        )
        if (promise := self.promise) is not None:
            late = f"{count(promise.misses, 'task')} ({share(promise.misses, figures.tasks)})"
            yield (
                f"The promise was “{promise.slo.text}”. It came to {span(promise.seconds)}, so it was "
                f"{'kept' if promise.kept else 'broken'}; {late} waited longer than the limit."
            )
        outs, ins = count(figures.scale_outs, "time"), count(figures.scale_ins, "time")
        yield f"The fleet grew {outs} and shrank {ins}."
        if figures.killed_tasks:
            lost = f"{figures.lost_slot_hours:,.1f} slot-hours of work"
            yield f"{count(figures.killed_tasks, 'task')} lost their worker and ran again; {lost} were lost."
        if figures.failed_tasks or figures.skipped_tasks:
            given_up = count(figures.failed_tasks, "task")
            yield f"{given_up} failed for good, and {figures.skipped_tasks:,} never ran because of that."
        if not figures.settled:
            yield "The fleet did not come back to its minimum within a day of the last task."

    def tiles(self) -> Iterator[tuple[str, str]]:
        """The figures that everybody asks for first."""
        figures = self.figures
        yield "cost", usd(figures.cost_usd)
        yield "worker-hours", f"{figures.worker_hours:,.0f}"
        yield "wait, 95 % at most", span(figures.wait_p95_seconds)
        yield "wait, longest", span(figures.wait_max_seconds)
        if (promise := self.promise) is not None:
            yield f"promise: {promise.slo.text}", "kept" if promise.kept else "broken"
        yield "slots used", f"{100 * figures.utilisation:.0f} %"
        yield "workers at most", f"{figures.peak_workers:,}"
        yield "tasks killed", f"{figures.killed_tasks:,}"


def _parts(figures: Score) -> str:
    """What the cost is for, where that is more than one thing."""
    parts = figures.cost_parts
    told = [f"{usd(cost)} for {name}" for name, cost in parts.items()]
    return f" ({', '.join(told)})" if len(told) > 1 else ""
