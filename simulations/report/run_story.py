"""One target's run as a report tells it."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.core.controller import Controller
from simulations.price import Price
from simulations.promise import Promise
from simulations.report.answer import Answer
from simulations.report.recorder import Recorder
from simulations.run import Result
from simulations.score import Score
from simulations.slo import Slo
from simulations.world_file import Scene


@dataclass(frozen=True, slots=True, eq=False)
class RunStory:
    """A run, what decided in it, and what it is measured by."""

    result: Result
    figures: Score
    recorder: Recorder
    controller: Controller
    price: Price
    promise: Promise | None = None
    name: str = ""
    """The target's, where there are several."""
    scene: Scene | None = None
    """The world that was played; None: the plain one."""

    @property
    def slo(self) -> Slo | None:
        """What was promised."""
        return self.promise.slo if self.promise is not None else None

    @property
    def answer(self) -> Answer:
        """What came out, in words."""
        return Answer(self.figures, self.promise)
