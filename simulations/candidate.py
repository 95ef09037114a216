"""What is compared: a way of deciding on a kind of worker at a price, and what one run of it showed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from autoscaler.core.controller import Controller
from simulations.price import Price
from simulations.run import SimulationError, simulate
from simulations.score import score
from simulations.slo import Slo
from simulations.trace import Trace
from simulations.world_file import Scene


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the things that a comparison plays on the same trace."""

    label: str
    """What a table calls it."""
    setting: Mapping[str, Any]
    """The same in plain JSON values: a target's table of the configuration, and `price`."""
    controller: Controller
    slots: int
    """Slots per worker."""
    tick_seconds: float
    price: Price

    @property
    def key(self) -> str:
        """Equal for equal settings: what a file of results knows it by."""
        text = json.dumps(self.setting, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Trial:
    """One run to be made.

    Equal seeds give every candidate the same luck: its n-th launch takes as long as anybody's n-th launch.
    """

    candidate: Candidate
    seed: int
    scene: Scene
    """Its service's slots per worker give way to the candidate's."""
    slo: Slo | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run showed, in plain values."""

    key: str
    seed: int
    figures: Mapping[str, Any]
    """The score; empty if the run could not end."""
    slo_value: float = 0.0
    """The promised statistic, in seconds; 0 without a promise."""
    margins: tuple[float, ...] = ()
    """Of the promise, a batch of tasks each; see `Slo.margins`."""
    error: str = ""
    """Why the run could not end."""


def seeds_of(seed: int, runs: int) -> tuple[int, ...]:
    """The seeds of `runs` replications; the first of more are those of fewer.  Raises `ValueError`."""
    if runs < 1:
        raise ValueError(f"runs: expected at least 1, got {runs}")
    if seed < 0:
        raise ValueError(f"seed: expected a whole number, 0 or more, got {seed}")
    return tuple(int(each) for each in np.random.SeedSequence(seed).generate_state(runs))


def tried(trace: Trace, trial: Trial) -> Outcome:
    """Makes the run.  A run that cannot end is an outcome, too."""
    candidate = trial.candidate
    scene = trial.scene
    try:
        result = simulate(
            trace,
            candidate.controller,
            scene.service_of(candidate.slots),
            trial.seed,
            tick_seconds=candidate.tick_seconds,
            airflow=scene.airflow,
            source=scene.source,
        )
    except SimulationError as error:
        return Outcome(candidate.key, trial.seed, {}, error=str(error))
    figures = score(result, candidate.price).as_dict()
    if trial.slo is None:
        return Outcome(candidate.key, trial.seed, figures)
    waits = result.of_waiters(result.promised_waits)
    margins = tuple(trial.slo.margins(result.of_waiters(trace.queued_at), waits))
    return Outcome(candidate.key, trial.seed, figures, trial.slo.value(waits), margins)


def mean_of(outcomes: list[Outcome], figure: str) -> float:
    """The figure's mean over the runs."""
    return float(np.mean([outcome.figures[figure] for outcome in outcomes]))
