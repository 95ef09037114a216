"""What a policy sees of the load: a source with its period, its lag and its losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from policies.model import Demand, Unavailable
from simulations.quantiles import NONE, Quantiles
from simulations.trace import LONGEST_SECONDS, quantised


@dataclass(frozen=True, slots=True)
class SourceModel:
    """The default is a database: every look sees the load as it is now."""

    period_seconds: float = 0.0
    """Readings are taken so often, and the newest that has arrived is seen.  0: at every look."""
    lag: Quantiles = NONE
    """From the reading until it can be seen; CloudWatch's metrics: 60 to 180 s, every 60 s."""
    loss: float = 0.0
    """Share of looks that fail."""

    def __post_init__(self) -> None:
        if not (self.period_seconds == 0 or 1 <= self.period_seconds <= LONGEST_SECONDS):
            raise ValueError(f"source: period seconds must be 0, or 1 or more, got {self.period_seconds:g}")
        object.__setattr__(self, "period_seconds", quantised(self.period_seconds))
        if self.lag.seconds[-1] > 0 and not self.period_seconds:
            raise ValueError("source: a lag needs a period, at which readings are taken")
        if not 0 <= self.loss <= 1:
            raise ValueError(f"source: loss must be between 0 and 1, got {self.loss:g}")


DATABASE = SourceModel()


class View:
    """One target's source.  `due_at` is when its next reading is taken."""

    STREAMS: ClassVar[int] = 2
    """Of chance, that it wants."""

    def __init__(
        self,
        model: SourceModel,
        streams: Sequence[np.random.SeedSequence],
        measure: Callable[[], Demand],
        starts_at: float,
    ) -> None:
        self._model, self._measure = model, measure
        self._lags, self._losses = map(np.random.default_rng, streams)
        self._on_their_way: list[tuple[float, Demand]] = []
        self._seen: Demand | None = None
        self.due_at = starts_at if model.period_seconds else float("inf")

    def act(self) -> None:
        """Takes the reading that is due."""
        lag_seconds = quantised(float(self._model.lag.draw(self._lags, 1)[0]))
        self._on_their_way.append((self.due_at + lag_seconds, self._measure()))
        self.due_at += self._model.period_seconds

    def demand(self, at: float) -> Demand | Unavailable:
        """What is seen at `at`: each call is a look, which may fail."""
        model = self._model
        if model.loss and self._losses.random() < model.loss:
            return Unavailable("the reading was lost")
        if not model.period_seconds:
            return self._measure()
        arrived = [place for place, (visible_at, _) in enumerate(self._on_their_way) if visible_at <= at]
        if arrived:
            # The newest; one that was overtaken on its way is not seen any more.
            self._seen = self._on_their_way[arrived[-1]][1]
            del self._on_their_way[: arrived[-1] + 1]
        return self._seen or Unavailable("the source has no reading yet")
