"""The files that a run may leave: a page and a picture, their places checked before hours are spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from autoscaler.core.controller import Controller
from policies.model import Decision, Observation
from simulations.front import check_plot
from simulations.price import Price
from simulations.promise import promise_of
from simulations.report import page
from simulations.report.answer import Answer
from simulations.report.recorder import Recorder
from simulations.report.run_page import run_page
from simulations.report.run_story import RunStory
from simulations.run import Result
from simulations.score import score, total
from simulations.slo import Slo
from simulations.world_file import Scene

Played = tuple[Result, Controller, Price]
"""One target's run: what happened, who decided, what a worker costs."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a run's page and picture go.  Raises `ValueError` for a place where they cannot."""

    report: Path | None = None
    plot: Path | None = None
    recorders: dict[str, Recorder] = field(default_factory=dict)
    """By target; filled by `see`."""

    def __post_init__(self) -> None:
        if self.report is not None:
            page.check(self.report)
        if self.plot is not None:
            check_plot(self.plot)

    def see(self, target: str, observation: Observation, decision: Decision) -> None:
        """Has to see every tick of every target."""
        self.recorders.setdefault(target, Recorder())(observation, decision)

    def write(self, played: Mapping[str, Played], scene: Scene, slo: Slo | None) -> None:
        """Writes what was asked for, of the targets by name.  Raises `ValueError` if it cannot be written."""
        stories = [
            RunStory(
                result,
                score(result, price),
                self.recorders[name],
                controller,
                price,
                None if slo is None else promise_of(slo, [result]),
                name if len(played) > 1 else "",
                scene,
            )
            for name, (result, controller, price) in played.items()
        ]
        together = total([(result, price) for result, _, price in played.values()])
        results = [result for result, _, _ in played.values()]
        answer = Answer(together, None if slo is None else promise_of(slo, results))
        if self.report is not None:
            page.write(self.report, run_page(stories, answer))
        if self.plot is not None:
            from simulations.report.figure import save_figure  # noqa: PLC0415 - heavy

            save_figure(stories, answer, self.plot)
