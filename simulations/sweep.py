"""The body of `autoscaler sweep`: many settings on one trace, resumable, with the Pareto front marked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from simulations.candidate import Candidate, mean_of
from simulations.cores import CoresError
from simulations.front import check_plot, pareto, save_plot
from simulations.ledger import Ledger, fingerprint, seed_in
from simulations.played import notes_of, played_document
from simulations.report import page
from simulations.report.search_page import sweep_page
from simulations.run import SimulationError
from simulations.space import Found, Space
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
from simulations.trace import Trace, TraceError
from simulations.vary import Point, varied
from simulations.world_file import Scene

SHOWN_ROWS = 40
"""A person reads no more; the file has them all."""
DISTRIBUTION = "airflow-worker-autoscaler"
FIGURES = ("cost_usd", "wait_p95_seconds", "wait_mean_seconds", "worker_hours", "scale_outs", "scale_ins")


@dataclass(frozen=True, slots=True)
class Search:
    """How to search, beside where."""

    random: int | None = None
    """So many settings by lot; None: every combination."""
    out: Path | None = None
    """The file of results; None: one in the working directory, named after trace and service."""
    plot: Path | None = None
    report: Path | None = None
    """Where the page goes."""


@dataclass(frozen=True, slots=True)
class Row:
    """One setting: its figures' means over the runs."""

    candidate: Candidate
    point: Point
    means: Mapping[str, float]
    on_front: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        varying = {name: value for name, _, value in self.point}
        return {
            "varied": varying,
            "setting": self.candidate.setting,
            **self.means,
            "pareto": self.on_front,
        }


@dataclass(frozen=True, slots=True)
class Swept:
    """All rows, the cheapest first, and what could not run."""

    rows: list[Row]
    failed: dict[str, str]
    """Label: why."""
    left_out: int


def run_sweep(frame: Frame, space: Space, search: Search) -> int:
    """Sweeps and prints.  The exit code: 0 done, 1 nothing could run, 2 wrong usage, 130 interrupted."""
    try:
        return _run(frame, space, search)
    except (SimulationError, CoresError) as error:
        return complain(error, EXIT_FAILED)
    except (TraceError, ValueError) as error:
        return complain(error, EXIT_USAGE)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _run(frame: Frame, space: Space, search: Search) -> int:
    if search.plot is not None:
        check_plot(search.plot)
    if search.report is not None:
        page.check(search.report)
    study = study_of(frame, lambda trace, scene: seed_in(_path(search, trace, scene)))
    path = _path(search, study.trace, study.scene)
    found = space.candidates(search.random, study.seed)
    with Ledger(path, {"seed": study.seed, **_about(study.trace, study.scene)}) as ledger:
        old = len(ledger.done)
        try:
            swept = sweep(study, found, ledger)
        except KeyboardInterrupt:
            note = f"interrupted; {len(ledger.done)} runs are in {path}: the same command goes on from there"
            return complain(note, EXIT_INTERRUPTED)
    if not swept.rows:
        label, why = next(iter(swept.failed.items()))
        raise SimulationError(f"no setting could run; {label}: {why}")
    if search.plot is not None:
        save_plot(search.plot, _points(swept.rows), f"{study.trace.source}: {len(swept.rows)} settings")
    if search.report is not None:
        page.write(search.report, sweep_page(study, swept))
    if frame.as_json:
        print(json.dumps(_document(swept, study, path), indent=2))  # noqa: T201
    else:
        _print(swept, study, path, old)
    return EXIT_DONE


def sweep(study: Study, found: Found, ledger: Ledger | None = None) -> Swept:
    """Runs what the ledger has not, and puts the cheapest first."""
    outcomes = study.outcomes(found.candidates, ledger=ledger, title="sweeping")
    failed = failures(outcomes)
    labels = {candidate.key: candidate.label for candidate in found.candidates}
    ran = [
        (candidate, point, {name: mean_of(outcomes[candidate.key], name) for name in FIGURES})
        for candidate, point in zip(found.candidates, found.points, strict=True)
        if candidate.key not in failed
    ]
    ran.sort(key=lambda each: (each[2]["cost_usd"], each[2]["wait_p95_seconds"]))
    on_front = pareto([(means["cost_usd"], means["wait_p95_seconds"]) for _, _, means in ran])
    rows = [Row(*each, best) for each, best in zip(ran, on_front, strict=True)]
    return Swept(rows, {labels[key]: why for key, why in failed.items()}, found.left_out)


def _points(rows: list[Row]) -> list[tuple[float, float]]:
    return [(row.means["cost_usd"], row.means["wait_p95_seconds"]) for row in rows]


def _about(trace: Trace, scene: Scene) -> dict[str, Any]:
    """What results depend on beside setting and seed."""
    return {
        "program": version(DISTRIBUTION),
        "trace": fingerprint(trace),
        "airflow": scene.version,
        "world": scene.fingerprint,
    }


def _path(search: Search, trace: Trace, scene: Scene) -> Path:
    if search.out is not None:
        return search.out
    about = json.dumps(_about(trace, scene), sort_keys=True)
    return Path(f"sweep-{hashlib.sha256(about.encode()).hexdigest()[:12]}.jsonl")


def _document(swept: Swept, study: Study, path: Path) -> dict[str, Any]:
    return {
        "seed": study.seed,
        "runs": len(study.seeds),
        "trace": study.trace.source,
        **played_document(study.scene, study.trace),
        "results": str(path),
        "left_out": swept.left_out,
        "failed": swept.failed,
        "settings": [row.as_dict() for row in swept.rows],
    }


def _print(swept: Swept, study: Study, path: Path, old: int) -> None:
    console = Console(highlight=False, soft_wrap=False)
    console.print(table_of(swept, study.title))
    hidden = sum(not row.on_front for row in swept.rows[SHOWN_ROWS:])
    notes = [
        "* on the Pareto front: no setting is cheaper without a longer p95 wait.",
        f"{hidden} dearer settings off the front are not shown." if hidden > 0 else "",
        f"{swept.left_out} combinations left out: min_workers above max_workers." if swept.left_out else "",
        _failure_note(swept.failed),
        "A worker costs the same whatever its slots; --vary price=... says otherwise."
        if _slots_vary(swept)
        else "",
        *notes_of(study.scene, study.trace),
        f"All runs are in {path}" + (f"; {old} were there already." if old else "."),
    ]
    for note in filter(None, notes):
        console.print(note, markup=False, soft_wrap=True)


def _failure_note(failed: Mapping[str, str]) -> str:
    if not failed:
        return ""
    label, why = next(iter(failed.items()))
    return f"{len(failed)} settings could not run, such as {label}: {why}"


def _slots_vary(swept: Swept) -> bool:
    slots = {row.candidate.slots for row in swept.rows}
    return len(slots) > 1 and len({row.candidate.price for row in swept.rows}) == 1


def table_of(swept: Swept, source: str) -> Table:
    """The cheapest settings, and the whole front."""
    names = [name for name, _ in varied(swept.rows[0].point)]
    table = Table(title=f"{source}, the cheapest first", title_justify="left")
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right", overflow="fold")
    for title in ("cost $", "p95 wait s", "mean wait s", "worker-h", "outs", "ins"):
        table.add_column(title, justify="right")
    for number, row in enumerate(swept.rows):
        if number < SHOWN_ROWS or row.on_front:
            means = row.means
            table.add_row(
                "*" if row.on_front else "",
                *(value for _, value in varied(row.point)),
                f"{means['cost_usd']:,.2f}",
                f"{means['wait_p95_seconds']:,.1f}",
                f"{means['wait_mean_seconds']:,.1f}",
                f"{means['worker_hours']:,.1f}",
                f"{means['scale_outs']:,.1f}",
                f"{means['scale_ins']:,.1f}",
            )
    return table
