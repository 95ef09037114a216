"""The body of `autoscaler bound`: the least a promise costs, what foresight reaches, what policies use."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from simulations.bound import Bound, feasible, lower_bound
from simulations.command import EXIT_DONE, EXIT_FAILED, EXIT_USAGE, Options, controller_of
from simulations.price import parse
from simulations.program import BoundError
from simulations.run import SimulationError, simulate
from simulations.score import score
from simulations.service import ServiceModel
from simulations.trace import Trace, TraceError
from simulations.trace_file import read_trace
from simulations.world_file import plain_service


@dataclass(frozen=True, slots=True)
class Promise:
    """What the bound is for."""

    max_wait_seconds: float
    excused_share: float = 0.0
    """Share of the tasks that may wait longer."""
    bin_seconds: float | None = None
    """What the linear program tells apart; None: as fits the trace."""


@dataclass(frozen=True, slots=True)
class Used:
    """What a policy used, and how far that is from both sides."""

    policy: str
    worker_hours: float
    """As billed."""
    wait_max_seconds: float
    waited_longer_share: float
    """Share of the tasks that waited longer than promised."""
    killed_tasks: int
    times_lower_bound: float
    times_schedule: float

    def verdict(self, promise: Promise) -> str:
        """Whether the bound holds for this run, in words."""
        if self.killed_tasks:
            return "no bound for it: tasks were lost"
        if self.waited_longer_share > promise.excused_share:
            return "no bound for it: promise broken"
        return "kept"


def run_bound(options: Options, promise: Promise, policies: Sequence[str | Mapping[str, Any]] = ()) -> int:
    """Computes and prints.  The exit code: 0 done, 1 no result, 2 wrong usage or trace.

    `options.policy` is not looked at: `policies` are simulated, each with the same seed.
    """
    try:
        _run(options, promise, policies)
    except (SimulationError, BoundError) as error:
        return _fail(error, EXIT_FAILED)
    except (TraceError, ValueError) as error:
        return _fail(error, EXIT_USAGE)
    return EXIT_DONE


def _fail(error: Exception, code: int) -> int:
    Console(stderr=True, soft_wrap=True, markup=False, highlight=False).print(f"autoscaler: {error}")
    return code


def _run(options: Options, promise: Promise, policies: Sequence[str | Mapping[str, Any]]) -> None:
    seed = int(np.random.SeedSequence().generate_state(1)[0]) if options.seed is None else options.seed
    if seed < 0:
        raise ValueError(f"seed: expected a whole number, 0 or more, got {seed}")
    if policies:
        print(f"seed {seed}", file=sys.stderr if options.as_json else sys.stdout, flush=True)
    minimum_seconds = parse(options.price).minimum_seconds
    service = plain_service(options.wanted, options.slots)
    trace = read_trace(options.trace)
    if options.queue is not None:
        trace = trace.of_queue(options.queue)
    least = lower_bound(
        trace,
        service,
        promise.max_wait_seconds,
        promise.excused_share,
        minimum_seconds=minimum_seconds,
        ready_at_start=options.minimum,
        bin_seconds=promise.bin_seconds,
    )
    enough = feasible(trace, service, promise.max_wait_seconds, minimum_seconds=minimum_seconds)
    runs = [
        _used(replace(options, policy=policy, seed=seed), promise, trace, service, least, enough)
        for policy in policies
    ]
    if options.as_json:
        found = {
            "trace": trace.source,
            "tasks": len(trace),
            **({"seed": seed} if policies else {}),
            "lower_bound": least.as_dict(),
            "schedule": enough.as_dict(),
            "policies": [{**asdict(run), "verdict": run.verdict(promise)} for run in runs],
        }
        print(json.dumps(found, indent=2))  # noqa: T201
    else:
        Console(highlight=False).print(_table(trace, promise, least, enough, runs))


def _used(
    options: Options, promise: Promise, trace: Trace, service: ServiceModel, least: Bound, enough: Bound
) -> Used:
    assert options.seed is not None
    result = simulate(trace, controller_of(options), service, options.seed, tick_seconds=options.tick)
    figures = score(result, parse(options.price))
    hours = figures.billed_worker_hours
    longer = float((result.waited_seconds > promise.max_wait_seconds).mean())
    return Used(
        policy=_name(options.policy),
        worker_hours=hours,
        wait_max_seconds=figures.wait_max_seconds,
        waited_longer_share=longer,
        killed_tasks=figures.killed_tasks,
        times_lower_bound=hours / least.worker_hours if least.worker_hours else float("inf"),
        times_schedule=hours / enough.worker_hours if enough.worker_hours else float("inf"),
    )


def _name(policy: str | Mapping[str, Any]) -> str:
    if isinstance(policy, str):
        return policy
    fields = ", ".join(f"{field} = {value}" for field, value in policy.items() if field != "name")
    return f"{policy.get('name')} ({fields})" if fields else str(policy.get("name"))


def _table(trace: Trace, promise: Promise, least: Bound, enough: Bound, runs: Sequence[Used]) -> Table:
    but_for = f", but for {promise.excused_share:.1%} of them" if promise.excused_share else ""
    longest = f"none waits longer than {promise.max_wait_seconds:g} s"
    title = f"{trace.source}: {len(trace):,} tasks, {longest}{but_for}"
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("")
    for name in ("worker-hours", "x bound", "x schedule", "waited longer", "longest wait"):
        table.add_column(name, justify="right")
    table.add_column("promise")
    ratio = enough.worker_hours / least.worker_hours if least.worker_hours else float("inf")
    table.add_row(f"lower bound ({least.method})", f"{least.worker_hours:,.1f}", "1.00", "", "", "", "")
    table.add_row(
        "schedule with foresight", f"{enough.worker_hours:,.1f}", f"{ratio:.2f}", "1.00", "0.0%", "", "kept"
    )
    for run in runs:
        table.add_row(
            run.policy,
            f"{run.worker_hours:,.1f}",
            f"{run.times_lower_bound:.2f}",
            f"{run.times_schedule:.2f}",
            f"{run.waited_longer_share:.1%}",
            f"{run.wait_max_seconds:,.0f} s",
            run.verdict(promise),
        )
    table.caption = "\n".join(f"- {remark}" for remark in _remarks(promise, least, runs))
    return table


def _remarks(promise: Promise, least: Bound, runs: Sequence[Used]) -> list[str]:
    remarks = list(least.remarks)
    if runs:
        remarks.append("policies are played on a plain queue here, as the bound is; `simulate` plays Airflow")
    if promise.excused_share:
        remarks.append("the schedule excuses nobody: with excuses it is dearer than need be")
    if any(run.verdict(promise) != "kept" for run in runs):
        remarks.append("a run that breaks the promise or loses tasks may use less than the bound")
    return remarks
