"""The first look at an Airflow: what was, what policies would have done, and one recommendation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from simulations.candidate import Candidate, Outcome, mean_of
from simulations.describe import Description, describe
from simulations.observed import Observed
from simulations.recommend import Question, Recommendation, recommend
from simulations.study import Study
from simulations.trace import Trace, TraceError


class Kind(StrEnum):
    """What a row of the table stands for."""

    PRESENT = "as it is"
    POLICY = "policies"
    MWAA = "Amazon MWAA"
    ADVICE = "recommended"


@dataclass(frozen=True, slots=True)
class Present:
    """The worker service as it is now."""

    name: str
    desired: int
    running: int
    pending: int


@dataclass(frozen=True, slots=True)
class Choices:
    """What is played."""

    candidates: Sequence[tuple[Kind, Candidate]]
    search: Callable[[Trace], Sequence[Candidate]]
    """Where a recommendation is looked for, given the history."""


@dataclass(frozen=True, slots=True)
class Row:
    """How one candidate would have done on the whole history; means over the runs."""

    kind: Kind
    candidate: Candidate
    cost_usd: float = 0.0
    worker_hours: float = 0.0
    wait_mean_seconds: float = 0.0
    wait_p95_seconds: float = 0.0
    wait_max_seconds: float = 0.0
    peak_workers: float = 0.0
    killed_tasks: float = 0.0
    kept: bool = False
    """Whether it kept the promise in every run."""
    error: str = ""
    """Why it could not run."""


@dataclass(frozen=True, slots=True)
class Audit:
    """All that was found."""

    description: Description
    observed: Observed
    rows: list[Row]
    advice: Recommendation | None
    """None: the history is too short to tune on one part and judge on another."""
    why_no_advice: str = ""

    @property
    def recommended(self) -> Candidate | None:
        """The cheapest that keeps the promise, else the closest to it that can run."""
        if self.advice is None:
            return None
        if self.advice.chosen is not None:
            return self.advice.chosen.candidate
        closest = self.advice.closest
        return closest.candidate if closest is not None and not closest.error else None

    @property
    def sure(self) -> bool:
        """Whether the recommendation keeps the promise with the wanted confidence."""
        return self.advice is not None and self.advice.chosen is not None


def audit(study: Study, question: Question, seen: Observed, choices: Choices) -> Audit:
    """Plays all candidates on the whole history, and looks for the cheapest that keeps the promise.

    Raises `CoresError` if a process of the study dies.
    """
    advice, why = None, ""
    rows = _rows(study, question, choices.candidates, "policies")
    try:
        advice = recommend(study, question, choices.search(study.trace), less_of=lambda _: [])
    except TraceError as error:
        why = str(error)
    found = Audit(describe(study.trace), seen, rows, advice, why)
    if (best := found.recommended) is not None:
        rows += _rows(study, question, [(Kind.ADVICE, best)], "the recommended")
    return found


def _rows(
    study: Study, question: Question, candidates: Sequence[tuple[Kind, Candidate]], title: str
) -> list[Row]:
    outcomes = study.outcomes([each for _, each in candidates], slo=question.slo, title=title)
    return [_row(kind, each, outcomes[each.key], question) for kind, each in candidates]


def _row(kind: Kind, candidate: Candidate, runs: list[Outcome], question: Question) -> Row:
    if error := next((run.error for run in runs if run.error), ""):
        return Row(kind, candidate, error=error)
    return Row(
        kind,
        candidate,
        cost_usd=mean_of(runs, "cost_usd"),
        worker_hours=mean_of(runs, "worker_hours"),
        wait_mean_seconds=mean_of(runs, "wait_mean_seconds"),
        wait_p95_seconds=mean_of(runs, "wait_p95_seconds"),
        wait_max_seconds=mean_of(runs, "wait_max_seconds"),
        peak_workers=mean_of(runs, "peak_workers"),
        killed_tasks=mean_of(runs, "killed_tasks"),
        kept=question.slo.kept([run.margins for run in runs]),
    )
