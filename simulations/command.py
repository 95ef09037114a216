"""The body of `autoscaler simulate`: plain arguments in, a table or JSON out, an exit code back."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds, GuardChain
from policies.catalog import build
from policies.model import Decision, Observation
from simulations.decision_log import decision_log
from simulations.onlookers import all_of
from simulations.played import notes_of, played_document
from simulations.price import parse
from simulations.promise import Promise, promise_of
from simulations.run import SimulationError, TooWideError, simulate
from simulations.score import Score, score
from simulations.slo import parse as parse_slo
from simulations.trace import Trace, TraceError
from simulations.trace_file import read_trace
from simulations.trace_place import TracePlace
from simulations.waits_table import groups_of, kinds_of, waits_document, waits_of, waits_table
from simulations.words import span
from simulations.world_file import Wanted, scene_of

if TYPE_CHECKING:
    from simulations.airflow import Airflow
    from simulations.checker import Checker
    from simulations.report.outputs import Outputs
    from simulations.service import ServiceModel

EXIT_DONE, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
TARGET = "simulation"
OnStep = Callable[[Observation, Decision], None]
LONG_RUN_TASKS = 100_000
"""Shorter traces end before a progress bar is worth a look."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `autoscaler simulate` may be told; durations in seconds."""

    trace: TracePlace
    slots: int
    """Slots per worker."""
    policy: str | Mapping[str, Any] = "mwaa"
    """A name, `pkg.mod:Class`, or a description such as `{"name": "mwaa", "scale_in": "continuous"}`."""
    scale_in: str | None = None
    """The policy's field of that name."""
    minimum: int = 1
    maximum: int = 10
    tick: float = 30.0
    seed: int | None = None
    """None: drawn, and printed like any other."""
    queue: str | None = None
    """None: all queues of the trace together ..."""
    queues: tuple[str, ...] = ()
    """... or those that a configured target serves."""
    world: Path | None = None
    """A file that says what Airflow, service and source are like ..."""
    airflow: str | None = None
    """... and which version is played: `3.3`, `2.11`, `plain`; None of it: see `world_file`."""
    launch: float | None = None
    launch_spread: float | None = None
    slot_tail: float | None = None
    retry_delay: float | None = None
    price: str = "x86:2:4"
    log: Path | None = None
    """Where the decision records go."""
    report: Path | None = None
    """Where the page goes ..."""
    plot: Path | None = None
    """... and the picture."""
    slo: str | None = None
    """A promise to measure the waits by, such as `p95 wait < 60s`."""
    by: str | None = None
    """Waits by queue, DAG, pool or run; None: by queue where there are several."""
    target: Mapping[str, Any] = field(default_factory=dict)
    """Of a configured target all that decides, as a daemon's start record has it; empty: the options do."""
    check: bool = False
    """Whether every invariant is checked while the run is played and when it has ended."""
    as_json: bool = False

    @property
    def wanted(self) -> Wanted:
        """What is said of the world."""
        return Wanted(
            self.world, self.airflow, self.launch, self.launch_spread, self.slot_tail, self.retry_delay
        )


def run_command(options: Options, controller: Controller | None = None) -> int:
    """Simulates and prints.  The exit code: 0 done, 1 the run cannot end, 2 wrong usage or trace.

    `controller`: a ready-made one, such as a daemon's configuration asks for, in place of the options'.
    """
    try:
        _run(options, controller)
    except TooWideError as error:
        return complain(error, EXIT_USAGE)
    except SimulationError as error:
        return complain(error, EXIT_FAILED)
    except (TraceError, ValueError) as error:  # a policy's, a price's, a bound's
        return complain(error, EXIT_USAGE)
    return EXIT_DONE


def complain(error: Exception, code: int) -> int:
    """One line on standard error."""
    Console(stderr=True, soft_wrap=True, markup=False, highlight=False).print(f"autoscaler: {error}")
    return code


def _run(options: Options, controller: Controller | None) -> None:
    seed = told_seed(options)
    options = replace(options, seed=seed)
    price, controller = parse(options.price), controller or controller_of(options)
    slo = None if options.slo is None else parse_slo(options.slo)
    scene = scene_of(options.wanted)
    trace = trace_of_interest(options)
    if options.by is not None:
        groups_of(trace, options.by)
    outputs = outputs_of(options)
    service = scene.service_of(options.slots)
    checker = _checker(trace, service, scene.airflow) if options.check else None
    with _log(options, controller, trace) as log, progress_of(len(trace)) as on_progress:
        result = simulate(
            trace,
            controller,
            service,
            seed,
            tick_seconds=options.tick,
            airflow=scene.airflow,
            source=scene.source,
            on_step=all_of(log, None if outputs is None else partial(outputs.see, TARGET)),
            on_progress=on_progress,
            check=None if checker is None else checker.look,
        )
    figures = score(result, price)
    checked = None if checker is None else checker.conclude(result, figures, price)
    promise = None if slo is None else promise_of(slo, [result])
    if outputs is not None:
        outputs.write({TARGET: (result, controller, price)}, scene, slo)
    if options.as_json:
        kept = {} if promise is None else {"slo": promise.as_dict()}
        waits = {"waits": waits_document([result], options.by, slo)}
        played = {"seed": seed, "trace": trace.source, **played_document(scene, trace)}
        document = {**played, **figures.as_dict(), **kept, **waits}
        document |= {} if checked is None else {"checked": checked}
        print(json.dumps(document, indent=2))  # noqa: T201
        return
    console = Console(highlight=False)
    console.print(table_of(figures, trace.source, scene.version, promise))
    for note in notes_of(scene, trace, [result.waits_of_finished]):
        console.print(note, markup=False)
    if checked is not None:
        console.print(checked)
    for kind in kinds_of(trace, options.by):
        console.print(waits_table(kind, waits_of([result], kind, slo)))


def trace_of_interest(options: Options) -> Trace:
    """The trace, or those of its queues that are asked for.  Raises `TraceError`."""
    trace = read_trace(options.trace)
    if options.queue is not None:
        return trace.of_queue(options.queue)
    return of_queues(trace, options.queues) if options.queues else trace


def told_seed(options: Options) -> int:
    """The seed, printed before anything is drawn.  Raises `ValueError`."""
    seed = int(np.random.SeedSequence().generate_state(1)[0]) if options.seed is None else options.seed
    if seed < 0:
        raise ValueError(f"seed: expected a whole number, 0 or more, got {seed}")
    print(f"seed {seed}", file=sys.stderr if options.as_json else sys.stdout, flush=True)
    return seed


def of_queues(trace: Trace, queues: Sequence[str]) -> Trace:
    """The tasks of these queues.  Raises `TraceError` if there are none."""
    if len(queues) == 1:
        return trace.of_queue(queues[0])
    served = np.array([name in queues for name in trace.queues])[trace.queue]
    if not served.any():
        raise TraceError(f"{trace.source}: no task is in the queues {', '.join(queues)}")
    return trace if served.all() else trace.at_rows(np.flatnonzero(served))


def plain(options: Options) -> dict[str, Any]:
    """The options in plain values, for a log."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(options).items()}


def controller_of(options: Options) -> Controller:
    """The controller with the default guards.  Raises `ValueError` for what is not to be built."""
    given = options.policy
    specification = dict(given) if isinstance(given, Mapping) else {"name": given}
    if options.scale_in is not None:
        specification["scale_in"] = options.scale_in
    if options.minimum < 0:
        raise ValueError(f"minimum: expected 0 or more, got {options.minimum}")
    if options.slots < 1:
        raise ValueError(f"slots: expected at least 1, got {options.slots}")
    bounds = GuardChain(Bounds(options.minimum, options.maximum))
    return Controller(build(specification, options.slots), bounds, Watch(options.slots, options.maximum))


def outputs_of(options: Options) -> Outputs | None:
    """Where page and picture go.  Raises `ValueError` for a place where they cannot."""
    if options.report is None and options.plot is None:
        return None
    from simulations.report.outputs import Outputs  # noqa: PLC0415 - seldom wanted

    return Outputs(options.report, options.plot)


def _checker(trace: Trace, service: ServiceModel, airflow: Airflow | None) -> Checker:
    from simulations.checker import Checker  # noqa: PLC0415 - seldom wanted

    return Checker(trace, service, airflow)


@contextmanager
def _log(options: Options, controller: Controller, trace: Trace) -> Iterator[OnStep | None]:
    targets = {TARGET: (controller, plain(options))}
    with decision_log(options.log, trace.starts_at, targets) as write:
        yield None if write is None else partial(write, TARGET)


@contextmanager
def progress_of(tasks: int) -> Iterator[Callable[[int], None] | None]:
    """A bar on standard error, where a person watches a long run."""
    console = Console(stderr=True)
    if tasks < LONG_RUN_TASKS or not console.is_terminal:
        yield None
        return
    columns = (TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("tasks", total=tasks)
        yield lambda done: progress.update(bar, completed=done)


def table_of(figures: Score, source: str, airflow: str, promise: Promise | None = None) -> Table:
    """The figures for a person."""
    table = Table(show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for row in (("trace", source), ("Airflow", airflow), *rows_of(figures, promise)):
        table.add_row(*row)
    if not figures.settled:
        table.caption = "The fleet did not come back to its minimum within a day of the last task."
    return table


def rows_of(figures: Score, promise: Promise | None) -> Iterator[tuple[str, str]]:
    """Names and figures, as a table has them."""
    yield "tasks", f"{figures.tasks:,}"
    yield "makespan", span(figures.makespan_seconds)
    yield "wait mean", span(figures.wait_mean_seconds)
    yield "wait p50", span(figures.wait_p50_seconds)
    yield "wait p95", span(figures.wait_p95_seconds)
    yield "wait p99", span(figures.wait_p99_seconds)
    yield "wait max", span(figures.wait_max_seconds)
    if promise is not None:
        yield _promise_row(promise)
    yield "worker-hours", f"{figures.worker_hours:,.1f}"
    yield "cost", f"${figures.cost_usd:,.2f}"
    for name, usd in figures.cost_parts.items():
        yield f"  {name}", f"${usd:,.2f}"
    yield "  of it idle", f"${figures.cost_idle_usd:,.2f} ({figures.idle_share:.0%} of billed slot time)"
    yield "price", figures.price
    yield "utilisation", f"{figures.utilisation:.1%}"
    yield "scale-outs", f"{figures.scale_outs:,}"
    yield "scale-ins", f"{figures.scale_ins:,}"
    yield "workers launched", f"{figures.launched_workers:,}"
    yield "workers at most", f"{figures.peak_workers:,}"
    yield "tasks killed", f"{figures.killed_tasks:,}"
    yield from ((name, f"{count:,}") for name, count in _accidents(figures) if count)


def _accidents(figures: Score) -> Iterator[tuple[str, int]]:
    yield "tasks failed", figures.failed_tasks
    yield "tasks skipped", figures.skipped_tasks
    yield "workers reclaimed", figures.reclaimed_workers
    yield "workers retired", figures.retired_workers
    yield "launches given up", figures.given_up_workers


def _promise_row(promise: Promise) -> tuple[str, str]:
    kept = "kept" if promise.kept else "broken"
    return promise.slo.text, f"{kept}: {span(promise.seconds)}, {promise.misses:,} tasks beyond"
