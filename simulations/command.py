"""The body of `autoscaler simulate`: plain arguments in, a table or JSON out, an exit code back."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds, GuardChain
from autoscaler.core.record import encode_decision, encode_start
from policies.catalog import build
from policies.model import Decision, Observation
from simulations.price import parse
from simulations.promise import Promise, promise_of
from simulations.run import SimulationError, simulate
from simulations.score import Score, score
from simulations.service import LaunchDelay, ServiceModel
from simulations.slo import parse as parse_slo
from simulations.trace import Trace, TraceError
from simulations.trace_file import read_trace
from simulations.waits_table import groups_of, kinds_of, waits_document, waits_of, waits_table
from simulations.words import span

if TYPE_CHECKING:
    from simulations.report.outputs import Outputs

EXIT_DONE, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
TARGET = "simulation"
OnStep = Callable[[Observation, Decision], None]
LAUNCH = LaunchDelay()
LONG_RUN_TASKS = 100_000
"""Shorter traces end before a progress bar is worth a look."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `autoscaler simulate` may be told; durations in seconds."""

    trace: Path
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
    """None: all queues of the trace together."""
    launch: float = LAUNCH.median_seconds
    launch_spread: float = LAUNCH.spread
    slot_tail: float = 0.0
    retry_delay: float = 600.0
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
    as_json: bool = False


def run_command(options: Options, controller: Controller | None = None) -> int:
    """Simulates and prints.  The exit code: 0 done, 1 the run cannot end, 2 wrong usage or trace.

    `controller`: a ready-made one, such as a daemon's configuration asks for, in place of the options'.
    """
    try:
        _run(options, controller)
    except SimulationError as error:
        return _fail(error, EXIT_FAILED)
    except (TraceError, ValueError) as error:  # a policy's, a price's, a bound's
        return _fail(error, EXIT_USAGE)
    return EXIT_DONE


def _fail(error: Exception, code: int) -> int:
    Console(stderr=True, soft_wrap=True, markup=False, highlight=False).print(f"autoscaler: {error}")
    return code


def _run(options: Options, controller: Controller | None) -> None:
    seed = int(np.random.SeedSequence().generate_state(1)[0]) if options.seed is None else options.seed
    if seed < 0:
        raise ValueError(f"seed: expected a whole number, 0 or more, got {seed}")
    options = replace(options, seed=seed)
    print(f"seed {seed}", file=sys.stderr if options.as_json else sys.stdout, flush=True)
    price, controller = parse(options.price), controller or controller_of(options)
    slo = None if options.slo is None else parse_slo(options.slo)
    launch = LaunchDelay(options.launch, options.launch_spread)
    service = ServiceModel(options.slots, launch, options.slot_tail, options.retry_delay)
    trace = read_trace(options.trace)
    if options.queue is not None:
        trace = trace.of_queue(options.queue)
    if options.by is not None:
        groups_of(trace, options.by)
    outputs = _outputs(options)
    with _log(options, controller, trace) as log, _progress(len(trace)) as on_progress:
        result = simulate(
            trace,
            controller,
            service,
            seed,
            tick_seconds=options.tick,
            on_step=_both(log, None if outputs is None else outputs.recorder),
            on_progress=on_progress,
        )
    figures = score(result, price)
    promise = None if slo is None else promise_of(slo, result)
    if outputs is not None:
        outputs.write(result, figures, controller, price, promise)
    if options.as_json:
        kept = {} if promise is None else {"slo": promise.as_dict()}
        waits = {"waits": waits_document(result, options.by, slo)}
        document = {"seed": seed, "trace": trace.source, **figures.as_dict(), **kept, **waits}
        print(json.dumps(document, indent=2))  # noqa: T201
        return
    console = Console(highlight=False)
    console.print(table_of(figures, trace.source, promise))
    for kind in kinds_of(trace, options.by):
        console.print(waits_table(kind, waits_of(result, kind, slo)))


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


def _outputs(options: Options) -> Outputs | None:
    """Where page and picture go.  Raises `ValueError` for a place where they cannot."""
    if options.report is None and options.plot is None:
        return None
    from simulations.report.outputs import Outputs  # noqa: PLC0415 - seldom wanted

    return Outputs(options.report, options.plot)


def _both(one: OnStep | None, other: OnStep | None) -> OnStep | None:
    """Whoever wants to see the ticks sees them."""
    if one is None or other is None:
        return one or other

    def see(observation: Observation, decision: Decision) -> None:
        one(observation, decision)
        other(observation, decision)

    return see


@contextmanager
def _log(options: Options, controller: Controller, trace: Trace) -> Iterator[OnStep | None]:
    """Writes every decision; the file also says with what it began, so that it can be replayed."""
    if options.log is None:
        yield None
        return
    config = {
        name: str(value) if isinstance(value, Path) else value for name, value in asdict(options).items()
    }
    fingerprint = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]
    try:
        file = options.log.open("w", encoding="utf-8")
    except OSError as error:
        raise ValueError(f"log: {options.log} cannot be written: {error.strerror}") from None
    with file:
        memory_type, state = controller.policy.memory_type, controller.initial()
        start = encode_start(trace.starts_at, TARGET, config, state, memory_type, fingerprint)
        file.write(f"{start}\n")

        def write(observation: Observation, decision: Decision) -> None:
            file.write(f"{encode_decision(TARGET, observation, decision, fingerprint)}\n")

        yield write


@contextmanager
def _progress(tasks: int) -> Iterator[Callable[[int], None] | None]:
    """A bar on standard error, where a person watches a long run."""
    console = Console(stderr=True)
    if tasks < LONG_RUN_TASKS or not console.is_terminal:
        yield None
        return
    columns = (TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("tasks", total=tasks)
        yield lambda done: progress.update(bar, completed=done)


def table_of(figures: Score, source: str, promise: Promise | None = None) -> Table:
    """The figures for a person."""
    table = Table(show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    promised = () if promise is None else (_promise_row(promise),)
    rows = (
        ("trace", source),
        ("tasks", f"{figures.tasks:,}"),
        ("makespan", span(figures.makespan_seconds)),
        ("wait mean", span(figures.wait_mean_seconds)),
        ("wait p50", span(figures.wait_p50_seconds)),
        ("wait p95", span(figures.wait_p95_seconds)),
        ("wait p99", span(figures.wait_p99_seconds)),
        ("wait max", span(figures.wait_max_seconds)),
        *promised,
        ("worker-hours", f"{figures.worker_hours:,.1f}"),
        ("cost", f"${figures.cost_usd:,.2f}"),
        ("price", figures.price),
        ("utilisation", f"{figures.utilisation:.1%}"),
        ("scale-outs", f"{figures.scale_outs:,}"),
        ("scale-ins", f"{figures.scale_ins:,}"),
        ("workers launched", f"{figures.launched_workers:,}"),
        ("workers at most", f"{figures.peak_workers:,}"),
        ("tasks killed", f"{figures.killed_tasks:,}"),
    )
    for row in rows:
        table.add_row(*row)
    if not figures.settled:
        table.caption = "The fleet did not come back to its minimum within a day of the last task."
    return table


def _promise_row(promise: Promise) -> tuple[str, str]:
    kept = "kept" if promise.kept else "broken"
    return promise.slo.text, f"{kept}: {span(promise.seconds)}, {promise.misses:,} tasks beyond"
