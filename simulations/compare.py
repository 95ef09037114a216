"""The body of `autoscaler compare`: candidates side by side on one trace, with the same luck."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from simulations.candidate import Candidate, Outcome
from simulations.cores import CoresError
from simulations.played import notes_of, played_document
from simulations.run import SimulationError, TooWideError, check_widest
from simulations.student import half_width
from simulations.study import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    Frame,
    Study,
    complain,
    failures,
    study_of,
)
from simulations.trace import TraceError

FIGURES = (
    ("cost_usd", "cost ($)"),
    ("worker_hours", "worker-hours"),
    ("wait_mean_seconds", "wait mean (s)"),
    ("wait_p50_seconds", "wait p50 (s)"),
    ("wait_p95_seconds", "wait p95 (s)"),
    ("wait_p99_seconds", "wait p99 (s)"),
    ("wait_max_seconds", "wait max (s)"),
    ("makespan_seconds", "makespan (s)"),
    ("utilisation", "utilisation"),
    ("scale_outs", "scale-outs"),
    ("scale_ins", "scale-ins"),
    ("peak_workers", "workers at most"),
    ("killed_tasks", "tasks killed"),
)


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one figure, to the first candidate: of pairs of runs with the same luck."""

    mean: float
    half_width: float | None
    """Of the confidence interval, by Student's t over the pairs; None: there is but one pair."""

    @property
    def certain(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.half_width is not None and abs(self.mean) > self.half_width


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate: the mean of each figure over the runs, and its differences to the first candidate."""

    label: str
    means: dict[str, float]
    differences: dict[str, Difference]


def compare(study: Study, candidates: Sequence[Candidate], confidence: float = 0.95) -> list[Row]:
    """A row for each candidate, in the given order; the first has no differences.

    Raises `SimulationError` for a candidate whose run cannot end, and `ValueError` for a confidence
    that is none.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number between 0 and 1, got {confidence:g}")
    outcomes = study.outcomes(candidates, title="comparing")
    for key, why in failures(outcomes).items():
        label = next(candidate.label for candidate in candidates if candidate.key == key)
        raise SimulationError(f"{label}: {why}")
    first = outcomes[candidates[0].key]
    return [
        Row(
            candidate.label,
            {name: float(np.mean(_figures(outcomes[candidate.key], name))) for name, _ in FIGURES},
            {name: _difference(outcomes[candidate.key], first, name, confidence) for name, _ in FIGURES}
            if number
            else {},
        )
        for number, candidate in enumerate(candidates)
    ]


def _figures(runs: Sequence[Outcome], name: str) -> list[float]:
    return [float(run.figures[name]) for run in runs]


def _difference(runs: list[Outcome], first: list[Outcome], name: str, confidence: float) -> Difference:
    pairs = zip(_figures(runs, name), _figures(first, name), strict=True)
    differences = [mine - theirs for mine, theirs in pairs]
    return Difference(float(np.mean(differences)), half_width(differences, confidence))


def run_compare(frame: Frame, candidates: Sequence[Candidate], confidence: float) -> int:
    """Compares and prints.  The exit code: 0 done, 1 a run cannot end, 2 wrong usage or trace."""
    try:
        study = study_of(frame)
        for each in candidates:
            check_widest(study.trace, each.slots)
        rows = compare(study, candidates, confidence)
    except TooWideError as error:
        return complain(error, EXIT_USAGE)
    except (SimulationError, CoresError) as error:
        return complain(error, EXIT_FAILED)
    except (TraceError, ValueError) as error:
        return complain(error, EXIT_USAGE)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    if frame.as_json:
        document: dict[str, Any] = {
            "seed": study.seed,
            "seeds": list(study.seeds),
            "trace": study.trace.source,
            **played_document(study.scene, study.trace),
            "confidence": confidence,
            "prices": [candidate.price.label for candidate in candidates],
            "candidates": [asdict(row) for row in rows],
        }
        print(json.dumps(document, indent=2))  # noqa: T201
    else:
        _print(rows, study, candidates, confidence)
    return EXIT_DONE


def _print(rows: list[Row], study: Study, candidates: Sequence[Candidate], confidence: float) -> None:
    table = Table()
    table.add_column(f"{study.title}, {len(study.seeds)} runs", style="bold", overflow="fold")
    for row in rows:
        table.add_column(row.label, justify="right", overflow="fold")
    for name, title in FIGURES:
        table.add_row(title, *(_cell(row, name) for row in rows))
    table.add_row("price", *(candidate.price.label for candidate in candidates))
    console = Console(highlight=False)
    console.print(table)
    for note in notes_of(study.scene, study.trace):
        console.print(note, markup=False, soft_wrap=True)
    note = f"In brackets: difference to {rows[0].label}, run by run with the same luck"
    console.print(
        f"{note}, {confidence:.0%} confidence; * leaves zero out."
        if len(study.seeds) > 1
        else f"{note}; --runs 2 or more tell how certain it is."
    )


def _cell(row: Row, name: str) -> str:
    mean = number(row.means[name])
    if not row.differences:
        return mean
    difference = row.differences[name]
    spread = "" if difference.half_width is None else f" ± {number(difference.half_width)}"
    mark = "*" if difference.certain else ""
    sign = "+" if difference.mean >= 0 else "-"
    return f"{mean}\n({sign}{number(abs(difference.mean))}{spread}){mark}"


def number(value: float) -> str:
    """For a table: two decimals while they matter."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}" if value != int(value) else f"{value:g}"
