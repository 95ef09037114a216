"""The files that a run may leave: a page and a picture, their places checked before hours are spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autoscaler.core.controller import Controller
from simulations.front import check_plot
from simulations.price import Price
from simulations.promise import Promise
from simulations.report import page
from simulations.report.answer import Answer
from simulations.report.recorder import Recorder
from simulations.report.run_page import run_page
from simulations.report.run_story import RunStory
from simulations.run import Result
from simulations.score import Score


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a run's page and picture go.  Raises `ValueError` for a place where they cannot."""

    report: Path | None = None
    plot: Path | None = None
    recorder: Recorder = field(default_factory=Recorder)
    """Has to see every tick of the one target, as `on_step`."""

    def __post_init__(self) -> None:
        if self.report is not None:
            page.check(self.report)
        if self.plot is not None:
            check_plot(self.plot)

    def write(
        self, result: Result, figures: Score, controller: Controller, price: Price, promise: Promise | None
    ) -> None:
        """Writes what was asked for of one target.  Raises `ValueError` if it cannot be written."""
        story = RunStory(result, figures, self.recorder, controller, price, promise)
        self.write_all([story], story.answer)

    def write_all(self, stories: Sequence[RunStory], answer: Answer) -> None:
        """The same for targets side by side, each with a recorder of its own; `answer`: all together."""
        if self.report is not None:
            page.write(self.report, run_page(stories, answer))
        if self.plot is not None:
            from simulations.report.figure import save_figure  # noqa: PLC0415 - heavy

            save_figure(stories, answer, self.plot)
