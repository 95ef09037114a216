"""The body of `autoscaler simulate` for all targets of a configuration, in one world."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console
from rich.table import Table

from autoscaler.core.controller import Controller
from simulations.command import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_USAGE,
    Options,
    complain,
    outputs_of,
    plain,
    progress_of,
    rows_of,
    told_seed,
)
from simulations.decision_log import decision_log
from simulations.onlookers import all_of
from simulations.played import notes_of, played_document
from simulations.price import Price, parse
from simulations.promise import Promise, promise_of
from simulations.run import Result, SimulationError, TooWideError
from simulations.score import Score, score, total
from simulations.slo import Slo
from simulations.slo import parse as parse_slo
from simulations.together import SimTarget, simulate_all, without_tasks
from simulations.trace import Trace, TraceError
from simulations.trace_file import read_trace
from simulations.waits_table import groups_of, kinds_of, waits_document, waits_of, waits_table
from simulations.world_file import Scene, scene_of

TOGETHER = "together"


@dataclass(frozen=True, slots=True)
class Configured:
    """A target as the daemon would have it."""

    controller: Controller
    slots: int
    queues: tuple[str, ...]
    tick_seconds: float
    table: Mapping[str, Any]
    """All that decides, as a daemon's start record has it."""


def run_together(options: Options, targets: Mapping[str, Configured]) -> int:
    """Simulates all and prints.  The exit code: 0 done, 1 the run cannot end, 2 wrong usage or trace."""
    try:
        _run(options, targets)
    except TooWideError as error:
        return complain(error, EXIT_USAGE)
    except SimulationError as error:
        return complain(error, EXIT_FAILED)
    except (TraceError, ValueError) as error:
        return complain(error, EXIT_USAGE)
    return EXIT_DONE


def _run(options: Options, configured: Mapping[str, Configured]) -> None:
    _check(options)
    seed = told_seed(options)
    options = replace(options, seed=seed)
    price, scene = parse(options.price), scene_of(options.wanted)
    if price.included_workers:
        raise ValueError(f"price: {price.label} is one environment with one queue; choose a target")
    slo = None if options.slo is None else parse_slo(options.slo)
    trace = read_trace(options.trace)
    if options.by is not None:
        groups_of(trace, options.by)
    outputs = outputs_of(options)
    targets = {name: _target(each, scene) for name, each in configured.items()}
    idle = without_tasks(trace, targets)
    targets = {name: target for name, target in targets.items() if name not in idle}
    logged = {
        name: (each.controller, {**plain(options), "target": dict(each.table)})
        for name, each in configured.items()
        if name in targets
    }
    with (
        decision_log(options.log, trace.starts_at, logged) as log,
        progress_of(len(trace)) as on_progress,
    ):
        results = simulate_all(
            trace,
            targets,
            seed,
            airflow=scene.airflow,
            on_step=all_of(log, None if outputs is None else outputs.see),
            on_progress=on_progress,
        )
    if outputs is not None:
        played = {name: (result, targets[name].controller, price) for name, result in results.items()}
        outputs.write(played, scene, slo)
    told = _Told(options, scene, trace, price, results, idle, slo)
    if options.as_json:
        print(json.dumps(told.document(), indent=2))  # noqa: T201
    else:
        told.show()


def _check(options: Options) -> None:
    """A queue may be a part of what a target serves, not of what all serve."""
    if options.queue is not None:
        raise ValueError("queue: the configuration has several targets; choose one with --target")


def _target(each: Configured, scene: Scene) -> SimTarget:
    service = scene.service_of(each.slots)
    return SimTarget(each.controller, service, each.queues, each.tick_seconds, scene.source)


@dataclass(frozen=True, slots=True)
class _Told:
    """What came out."""

    options: Options
    scene: Scene
    trace: Trace
    price: Price
    results: Mapping[str, Result]
    idle: list[str]
    """Targets that had nothing to do, and were left out."""
    slo: Slo | None

    def figures(self) -> dict[str, Score]:
        """By target, and of all together."""
        each = {name: score(result, self.price) for name, result in self.results.items()}
        return {**each, TOGETHER: total([(result, self.price) for result in self.results.values()])}

    def promises(self) -> dict[str, Promise]:
        """By target and of all together, if one was asked for."""
        if (slo := self.slo) is None:
            return {}
        parts = {name: [result] for name, result in self.results.items()}
        parts[TOGETHER] = list(self.results.values())
        return {name: promise_of(slo, results) for name, results in parts.items()}

    def document(self) -> dict[str, Any]:
        figures, promises = self.figures(), self.promises()
        targets = {
            name: {**each.as_dict(), **({"slo": promises[name].as_dict()} if name in promises else {})}
            for name, each in figures.items()
        }
        whole = targets.pop(TOGETHER)
        return {
            "seed": self.options.seed,
            "trace": self.trace.source,
            **played_document(self.scene, self.trace),
            "targets": targets,
            "without_tasks": self.idle,
            TOGETHER: whole,
            "waits": waits_document(list(self.results.values()), self.options.by, self.slo),
        }

    def show(self) -> None:
        figures, promises = self.figures(), self.promises()
        table = Table(title=f"{self.trace.source}, Airflow {self.scene.version}", title_justify="left")
        table.add_column("", style="bold")
        columns = [dict(rows_of(each, promises.get(name))) for name, each in figures.items()]
        for name in figures:
            table.add_column(name, justify="right")
        for row in dict.fromkeys(row for column in columns for row in column):
            table.add_row(row, *(column.get(row, "") for column in columns))
        console = Console(highlight=False)
        console.print(table)
        for kind in kinds_of(self.trace, self.options.by):
            console.print(waits_table(kind, waits_of(list(self.results.values()), kind, self.slo)))
        late = [name for name, result in self.results.items() if not result.settled]
        notes = [
            f"Without a task, and left out: {', '.join(self.idle)}." if self.idle else "",
            f"Did not come back to their minimum within a day: {', '.join(late)}." if late else "",
            *notes_of(self.scene, self.trace, [result.waits_of_finished for result in self.results.values()]),
        ]
        for note in filter(None, notes):
            console.print(note, markup=False)
