"""How well a measured run of a real Airflow predicts the others.

    python benchmarks/fidelity.py ../shared/data/airflow/runs [--seeds 20] [--json]

Of each run its DAGs, run starts, pools, durations and slot tail are taken, and every run of the directory
(itself too) is predicted from them and from its own fleet, which is all that is known of it: the number
of workers in its name, or a timetable beside it (see `measured_fleet`).  Nothing is fitted to the run that is
predicted.  Every pair is played with many seeds; shown are the means, with the standard deviation over
seeds: one real run is one throw.  Beside it stands the same model without the slot tail.

Exits 1 if a prediction misses what was promised: a fixed fleet's makespan by 3 %, its mean wait from
scheduled to start by 10 % or 1 s, its p95 by 15 % or 3 s; for a fleet that changed 5, 15 and 20 %; starts
in another order (rank correlation up to 0.95).  Exits 2 if a run cannot be read or its workers are unknown.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.fidelity_play import play
from benchmarks.measured_fleet import Shift, fleet_of
from benchmarks.measured_run import MeasuredRun, RunError, names_in, read_run
from benchmarks.measured_workload import (
    Deployment,
    Played,
    Work,
    pool_sizes,
    slots_per_worker,
    tail_share,
    tails_seen,
    workload,
)

SEEDS = 20
MAKESPAN, MEAN_WAIT, P95_WAIT, ORDER = "makespan_seconds", "wait_mean_seconds", "wait_p95_seconds", "order"
FIXED = {MAKESPAN: (0.03, 0.0), MEAN_WAIT: (0.10, 1.0), P95_WAIT: (0.15, 3.0)}
CHANGING = {MAKESPAN: (0.05, 0.0), MEAN_WAIT: (0.15, 1.0), P95_WAIT: (0.20, 3.0)}
"""The share or the seconds by which a prediction may be off, whichever is more."""
LEAST_ORDER = 0.95


Play = Callable[[list[Work], list[Shift], Deployment, float, int], Played]
"""(work, fleet, deployment, share of slots with a tail, seed)."""


@dataclass(frozen=True)
class Prediction:
    source: str
    target: str
    tail_share: float
    """Of slots that stay taken after their task's end, from the source and what is known in general ..."""
    tails_seen: tuple[int, int]
    """... and how many did in the source, of how many that could be seen."""
    fleet_from: str
    measured: dict[str, float]
    predicted: dict[str, float]
    spread: dict[str, float]
    """Standard deviation over seeds."""
    without_tail: dict[str, float]
    misses: tuple[str, ...]


def predict(
    source: MeasuredRun,
    target: MeasuredRun,
    fleet: tuple[list[Shift], str],
    play: Play,
    *,
    seeds: int = SEEDS,
    deployment: Deployment | None = None,
) -> Prediction:
    """One pair."""
    deployment = deployment or Deployment(slots_per_worker(source), pool_sizes(source))
    share, seen = tail_share(source), tails_seen(source)
    work, (shifts, known_from) = workload(source), fleet
    real = {each.key: each.started_at for each in target.worked()}
    with_tail = [_figures(work, play(work, shifts, deployment, share, seed), real) for seed in range(seeds)]
    without = [_figures(work, play(work, shifts, deployment, 0.0, seed), real) for seed in range(seeds)]
    worked = target.worked()
    measured = figures(
        np.array([each.scheduled_at for each in worked]),
        np.array([each.started_at for each in worked]),
        np.array([each.ended_at for each in worked]),
    )
    predicted = {name: float(np.mean([each[name] for each in with_tail])) for name in with_tail[0]}
    return Prediction(
        source.name,
        target.name,
        share,
        seen,
        known_from,
        measured,
        predicted,
        {name: float(np.std([each[name] for each in with_tail])) for name in predicted},
        {name: float(np.mean([each[name] for each in without])) for name in predicted},
        misses(measured, predicted, FIXED if known_from == "name" else CHANGING),
    )


def figures(scheduled_at: np.ndarray, started_at: np.ndarray, ended_at: np.ndarray) -> dict[str, float]:
    """What is compared."""
    waits = started_at - scheduled_at
    return {
        MAKESPAN: float(ended_at.max() - scheduled_at.min()),
        MEAN_WAIT: float(waits.mean()),
        P95_WAIT: float(np.percentile(waits, 95)),
    }


def _figures(
    work: list[Work], played: Played, real: dict[tuple[str, str, int, int], float]
) -> dict[str, float]:
    rows = [row for row, each in enumerate(work) if each.of.host]
    both = [row for row in rows if work[row].of.key in real]
    order = rank_correlation(played.started_at[both], np.array([real[work[row].of.key] for row in both]))
    times = (played.scheduled_at[rows], played.started_at[rows], played.ended_at[rows])
    return {**figures(*times), ORDER: order}


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's."""
    ranks = [np.argsort(np.argsort(values, kind="stable")) for values in (one, other)]
    return float(np.corrcoef(*ranks)[0, 1])


def misses(
    measured: dict[str, float], predicted: dict[str, float], promised: dict[str, tuple[float, float]]
) -> tuple[str, ...]:
    """The promises that are not kept."""
    missed = [
        name
        for name, (share, seconds) in promised.items()
        if abs(predicted[name] - measured[name]) > max(share * measured[name], seconds)
    ]
    return (*missed, *([ORDER] if predicted[ORDER] <= LEAST_ORDER else []))


def table_of(predictions: list[Prediction]) -> Table:
    """For a person: measured -> predicted, the error, the spread, and the error without the tail."""
    table = Table(title="Predictions of measured runs", title_justify="left")
    for column in (
        "from",
        "to",
        "tail",
        "makespan s",
        "mean wait s",
        "p95 wait s",
        "order",
        "",
        "without tail",
    ):
        table.add_column(column)
    for each in predictions:
        cells = [_cell(each, name) for name in (MAKESPAN, MEAN_WAIT, P95_WAIT)]
        bare = ", ".join(
            _error(each.measured, each.without_tail, name) for name in (MAKESPAN, MEAN_WAIT, P95_WAIT)
        )
        verdict = f"MISSED: {', '.join(each.misses)}" if each.misses else "kept"
        stayed, of = each.tails_seen
        tail = f"{each.tail_share:.0%} ({stayed} of {of})"
        table.add_row(each.source, each.target, tail, *cells, f"{each.predicted[ORDER]:.3f}", verdict, bare)
    return table


def _cell(each: Prediction, name: str) -> str:
    shown = f"{each.measured[name]:.1f} -> {each.predicted[name]:.1f} ±{each.spread[name]:.1f}"
    return f"{shown} ({_error(each.measured, each.predicted, name)})"


def _error(measured: dict[str, float], predicted: dict[str, float], name: str) -> str:
    return f"{predicted[name] / measured[name] - 1:+.1%}" if measured[name] else "-"


def study(directory: Path, play: Play, seeds: int) -> tuple[list[Prediction], list[str]]:
    """All pairs of a directory, and what cannot be predicted.  Raises `RunError` if there is no run."""
    runs, predictions, problems = [], [], []
    for name in names_in(directory):
        try:
            runs.append(read_run(directory, name))
        except RunError as error:
            problems.append(str(error))
    for target in runs:
        try:
            fleet = fleet_of(directory, target)
            predictions += [predict(source, target, fleet, play, seeds=seeds) for source in runs]
        except RunError as error:
            problems.append(f"{target.name}: {error}")
    return sorted(predictions, key=lambda each: (each.source, each.target)), problems


def _at_least_one(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"expected a whole number, at least 1, got {text!r}")
    return int(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seeds", type=_at_least_one, default=SEEDS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        predictions, problems = study(options.directory, play, options.seeds)
    except RunError as error:
        predictions, problems = [], [str(error)]
    if options.json:
        print(json.dumps([asdict(each) for each in predictions], indent=2))
    elif predictions:
        Console(width=200, highlight=False).print(table_of(predictions))
    for problem in problems:
        print(f"fidelity: {problem}", file=sys.stderr)
    if problems:
        return 2
    return int(any(each.misses for each in predictions))


if __name__ == "__main__":
    sys.exit(main())
