"""The cheapest setting that keeps a promise: tuned on the first part of a history, judged on the last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, isfinite

import numpy as np

from simulations.candidate import Candidate, Outcome, mean_of
from simulations.history_split import split
from simulations.slo import Slo
from simulations.study import Study
from simulations.trace import Trace
from simulations.vary import Axis

JUDGED_AT_A_TIME = 4
"""So many of the cheapest are judged together, to keep the cores busy."""
MOST_STEPS = 8
"""So often a little less than the cheapest is tried."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one candidate did on one part of the history; means over the runs."""

    candidate: Candidate
    cost_usd: float
    slo_seconds: float
    """The promised statistic of the waits."""
    wait_p95_seconds: float
    worker_hours: float
    confidence: float
    """How sure it is that more such history keeps the promise, too."""
    kept: bool
    """In every run of this part, and with the wanted confidence."""
    error: str = ""
    """Why it could not run."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What was found.  All verdicts are of the last part, but for `closest` if nothing got that far."""

    chosen: Verdict | None
    """The cheapest on the first part of those that keep the promise on both; None: there is none."""
    tuned: Verdict | None
    """The chosen on the first part."""
    next_best: Verdict | None
    closest: Verdict | None
    """Of nothing chosen: the surest of those that came furthest."""
    less: list[Verdict]
    """The chosen with a little less of each."""
    rivals: list[Verdict]
    """Amazon MWAA in each environment class."""
    tried: int
    judged: int
    seen: list[Verdict]
    """All that was tried, on the first part."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a history."""

    slo: Slo
    confidence: float = 0.95
    split: float = 0.7
    """The share of the time to tune on."""

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence: expected a number between 0 and 1, got {self.confidence:g}")


def recommend(
    study: Study,
    question: Question,
    candidates: Sequence[Candidate],
    *,
    less_of: Callable[[Candidate], list[Candidate]],
    rivals: Sequence[Candidate] = (),
    goes_on: bool = False,
) -> Recommendation:
    """Plays everything on the first part, and in the order of cost what held there on the last.

    `less_of`: a candidate's poorer neighbours; `goes_on`: they are tried too, from the cheapest that held on,
    as long as they are cheaper and hold.  Raises `ValueError` and `TraceError` for a history that
    cannot be split.
    """
    first, last = split(study.trace, question.split)

    def verdicts(some: Sequence[Candidate], part: Trace, title: str) -> list[Verdict]:
        outcomes = study.outcomes(some, trace=part, slo=question.slo, title=title)
        return [_verdict(each, outcomes[each.key], question) for each in some]

    tuned = verdicts(candidates, first, "tuning")
    if goes_on:
        tuned += _poorer_still(tuned, less_of, lambda some: verdicts(some, first, "with less"))
    queue = sorted((each for each in tuned if each.kept), key=_by_cost)
    judged: list[Verdict] = []
    holding: list[Verdict] = []
    while queue and len(holding) < 2:
        batch, queue = queue[:JUDGED_AT_A_TIME], queue[JUDGED_AT_A_TIME:]
        more = verdicts([each.candidate for each in batch], last, "judging")
        judged += more
        holding += [each for each in more if each.kept]
    chosen = holding[0] if holding else None
    poorer = less_of(chosen.candidate) if chosen is not None else []
    beside = verdicts([*poorer, *rivals], last, "looking around")
    return Recommendation(
        chosen=chosen,
        tuned=next((each for each in tuned if chosen and each.candidate == chosen.candidate), None),
        next_best=holding[1] if len(holding) > 1 else None,
        closest=None if chosen is not None else min(judged or tuned, key=_by_distance),
        less=beside[: len(poorer)],
        rivals=beside[len(poorer) :],
        tried=len(tuned),
        judged=len(judged),
        seen=tuned,
    )


def _poorer_still(
    tuned: Sequence[Verdict],
    less_of: Callable[[Candidate], list[Candidate]],
    tried: Callable[[Sequence[Candidate]], list[Verdict]],
) -> list[Verdict]:
    """What a grid leaves out between its points: step by step from the cheapest that holds."""
    found: list[Verdict] = []
    best = min((each for each in tuned if each.kept), key=_by_cost, default=None)
    known = {each.candidate.key for each in tuned}
    for _ in range(MOST_STEPS):
        fresh = (
            [each for each in less_of(best.candidate) if each.key not in known] if best is not None else []
        )
        steps = tried(fresh)
        known |= {each.key for each in fresh}
        found += steps
        better = [each for each in steps if each.kept and best is not None and each.cost_usd < best.cost_usd]
        if not better:
            break
        best = min(better, key=_by_cost)
    return found


def _by_cost(verdict: Verdict) -> tuple[float, float, str]:
    return (verdict.cost_usd, verdict.slo_seconds, verdict.candidate.key)


def _by_distance(verdict: Verdict) -> tuple[bool, float, float, float]:
    return (bool(verdict.error), -verdict.confidence, verdict.slo_seconds, verdict.cost_usd)


def _verdict(candidate: Candidate, runs: list[Outcome], question: Question) -> Verdict:
    nan = float("nan")
    if error := next((run.error for run in runs if run.error), ""):
        return Verdict(candidate, nan, nan, nan, nan, 0.0, kept=False, error=error)
    slo, margins = question.slo, [run.margins for run in runs]
    confidence = slo.confidence(margins)
    return Verdict(
        candidate,
        cost_usd=mean_of(runs, "cost_usd"),
        slo_seconds=float(np.mean([run.slo_value for run in runs])),
        wait_p95_seconds=mean_of(runs, "wait_p95_seconds"),
        worker_hours=mean_of(runs, "worker_hours"),
        confidence=confidence,
        kept=slo.kept(margins) and confidence >= question.confidence,
    )


def peak_workers(trace: Trace, slots: int) -> int:
    """The most workers the trace would fill if no task ever waited."""
    times = np.concatenate([trace.queued_at, trace.queued_at + trace.duration_seconds])
    changes = np.concatenate([trace.slots, -trace.slots])
    # At one instant the ends come first.
    order = np.lexsort((changes, times))
    peak = int(np.cumsum(changes[order]).max())
    return max(1, ceil(peak / slots))


def usual_axes(peak: int, *, mwaa: bool) -> list[Axis]:
    """What is varied if nobody says: bounds in shares of the peak, and how scale-in goes."""

    def shares(*parts: float) -> tuple[int, ...]:
        return tuple(sorted({ceil(part * peak) for part in parts}))

    axes = [
        Axis("min", ("min_workers",), shares(0, 1e-9, 1 / 8, 1 / 4, 1 / 2, 1)),
        Axis("max", ("max_workers",), shares(1 / 4, 1 / 2, 3 / 4, 1)),
        Axis("stabilization_in_seconds", ("guards", "stabilization_in_seconds"), (0.0, 300.0)),
    ]
    if mwaa:
        axes.append(Axis("scale_in", ("policy", "scale_in"), ("when-idle", "continuous")))
    return axes


def less(value: float) -> int:
    """A tenth less, at least one less."""
    if not isfinite(value):
        raise ValueError(f"not a number of workers: {value}")
    return max(0, int(value) - max(1, int(value) // 10))
