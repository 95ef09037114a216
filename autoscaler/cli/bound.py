"""The subcommand that says what no fleet can undercut."""

from __future__ import annotations

from typing import Annotated

import typer

from autoscaler.cli.common import JsonOption, TraceArgument, app, find_policies_here, needs, policy_of


@app.command()
def bound(
    trace: TraceArgument,
    max_wait: Annotated[float, typer.Option(help="Seconds that no task waits longer than.")] = 60.0,
    excused: Annotated[
        float, typer.Option(help="Share of the tasks that may: 0.05 for a promise about the p95.")
    ] = 0.0,
    policy: Annotated[
        list[str] | None,
        typer.Option(help="Simulate it and say how far off it is; may be given again."),
    ] = None,
    minimum: Annotated[int, typer.Option("--min", min=0, help="Workers there at the start, no fewer.")] = 1,
    maximum: Annotated[int, typer.Option("--max", min=1, help="The policies' most workers.")] = 10,
    slots: Annotated[int, typer.Option(min=1, help="Tasks a worker runs at a time.")] = 16,
    scale_in: Annotated[str | None, typer.Option(help="The policies' mode.")] = None,
    tick: Annotated[float, typer.Option(help="Seconds between two decisions.")] = 30.0,
    seed: Annotated[int | None, typer.Option(help="Of the policies' launches; drawn if not given.")] = None,
    queue: Annotated[str | None, typer.Option(help="Only the tasks of this queue.")] = None,
    launch: Annotated[float, typer.Option(help="Median seconds until a new worker takes tasks.")] = 59.0,
    launch_spread: Annotated[
        float, typer.Option(help="Spread of its logarithm; 0: always the median.")
    ] = 0.2,
    slot_tail: Annotated[float, typer.Option(help="Seconds a slot stays taken after its task.")] = 0.0,
    retry_delay: Annotated[
        float, typer.Option(help="Seconds until a task lost with its worker is queued.")
    ] = 600.0,
    price: Annotated[
        str, typer.Option(help="Whose billing minimum counts: x86:VCPU:GB, an MWAA class, USD per hour.")
    ] = "x86:2:4",
    bin_seconds: Annotated[
        float | None,
        typer.Option(
            "--bin",
            help="Seconds that the bound tells apart; fewer are closer, slower.  Default: 60, or as fits.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say how few worker-hours could keep a promise about waiting, and how far off policies are.

    The lower bound: no fleet, knowing all in advance, does with less.  The schedule: one that does it.
    Example: autoscaler bound trace.parquet --slots 16 --max-wait 60 --excused 0.05 --policy mwaa --max 50
    """
    needs("simulate", "polars")
    needs("simulate", "scipy")
    from simulations.bound_command import Promise, run_bound
    from simulations.command import Options

    find_policies_here()
    options = Options(
        trace=trace,
        slots=slots,
        scale_in=scale_in,
        minimum=minimum,
        maximum=maximum,
        tick=tick,
        seed=seed,
        queue=queue,
        launch=launch,
        launch_spread=launch_spread,
        slot_tail=slot_tail,
        retry_delay=retry_delay,
        price=price,
        as_json=as_json,
    )
    promise = Promise(max_wait, excused, bin_seconds)
    raise typer.Exit(run_bound(options, promise, [policy_of(each) for each in policy or ()]))
