"""Subcommands that need no Airflow: simulate, demo, policies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoscaler.cli.common import (
    EXIT_FAILED,
    EXIT_USAGE,
    JsonOption,
    TraceArgument,
    app,
    fail,
    find_policies_here,
    load_settings,
    needs,
    policies_app,
    policy_of,
)
from autoscaler.cli.planning import (
    AirflowOption,
    ConfidenceOption,
    LaunchOption,
    RetryOption,
    SpreadOption,
    TailOption,
    WorldOption,
)

if TYPE_CHECKING:
    from autoscaler.core.controller import Controller
    from autoscaler.settings import Settings
    from simulations.command import Options
    from simulations.laws import LawResult


@policies_app.command("list")
def policies_list() -> None:
    """Name the policies that are built in or installed."""
    from policies import catalog

    for name in catalog.names():
        summary = (catalog.find(name).__doc__ or "").strip().splitlines()
        typer.echo(f"{name:<20} {summary[0] if summary else ''}")


@policies_app.command("check")
def policies_check(
    policy: Annotated[str, typer.Argument(help="A name, 'pkg.mod:Class', or a TOML table with its fields.")],
    examples: Annotated[int, typer.Option(min=1, help="Random situations tried per law.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """Try the laws that every policy must keep on one; exit code 1 if one is broken.

    Example: autoscaler policies check my_policies:Headroom
    """
    needs("simulate", "hypothesis")
    from policies.catalog import PolicyError
    from simulations.laws import check_policy

    find_policies_here()
    try:
        results = check_policy(policy_of(policy), examples)
    except PolicyError as error:
        fail(str(error), EXIT_USAGE)
    _print_laws(results, as_json=as_json)
    if not all(result.ok for result in results):
        raise typer.Exit(EXIT_FAILED)


def _print_laws(results: list[LawResult], *, as_json: bool) -> None:
    import json
    from dataclasses import asdict

    if as_json:
        typer.echo(json.dumps([asdict(result) for result in results], indent=2))
        return
    width = max(len(result.name) for result in results)
    for result in results:
        typer.echo(f"{'keeps ' if result.ok else 'BREAKS'}  {result.name:<{width}}  {result.detail}")


def _print_example(*, wanted: bool) -> None:
    if wanted:
        from simulations.world_example import EXAMPLE

        typer.echo(EXAMPLE, nl=False)
        raise typer.Exit


@app.command()
def simulate(
    trace: TraceArgument,
    policy: Annotated[
        str,
        typer.Option(
            help="A name, 'pkg.mod:Class', or a TOML table: '{name = \"mwaa\", idle_seconds = 60}'."
        ),
    ] = "mwaa",
    minimum: Annotated[int, typer.Option("--min", min=0, help="Fewest workers.")] = 1,
    maximum: Annotated[int, typer.Option("--max", min=1, help="Most workers.")] = 10,
    slots: Annotated[int, typer.Option(min=1, help="Tasks a worker runs at a time.")] = 16,
    scale_in: Annotated[str | None, typer.Option(help="The policy's mode: when-idle or continuous.")] = None,
    tick: Annotated[float, typer.Option(help="Seconds between two decisions.")] = 30.0,
    seed: Annotated[
        int | None, typer.Option(help="Of everything random; drawn and printed if not given.")
    ] = None,
    queue: Annotated[str | None, typer.Option(help="Only the tasks of this queue.")] = None,
    runs: Annotated[
        int, typer.Option(min=1, help="Replications; 2 or more give each figure's mean and its confidence.")
    ] = 1,
    confidence: ConfidenceOption = 0.95,
    world: WorldOption = None,
    airflow: AirflowOption = None,
    launch: LaunchOption = None,
    launch_spread: SpreadOption = None,
    slot_tail: TailOption = None,
    retry_delay: RetryOption = None,
    price: Annotated[
        str, typer.Option(help="x86:VCPU:GB[:spot], arm:VCPU:GB[:spot], an MWAA class, or USD per hour.")
    ] = "x86:2:4",
    slo: Annotated[
        str | None, typer.Option(help="A promise to measure the waits by: 'p95 wait < 60s'.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Show waits by queue, dag, pool or run.")] = None,
    log: Annotated[Path | None, typer.Option(help="Write every decision here, a JSON line each.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a page of it all here, for any browser: .html.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the run here: .png, .svg, .pdf.")] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Take policy, guards, bounds, slots from this file."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Which target of that file; default: all of them, in one world.")
    ] = None,
    example_world: Annotated[  # noqa: ARG001 - its callback has done it
        bool,
        typer.Option(
            "--example-world", is_eager=True, callback=_print_example, help="Print a world file, and exit."
        ),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Check every invariant while playing; exit code 1 if one breaks.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Play a task trace against a policy in virtual time, with the daemon's own decision code.

    Example: autoscaler simulate trace.parquet --policy mwaa --min 1 --max 50 --slots 16
    Example: autoscaler simulate trace.parquet --config autoscaler.toml --report out.html
    """
    needs("simulate", "polars")
    from simulations.command import Options

    find_policies_here()
    options = Options(
        trace=trace,
        slots=slots,
        policy=policy_of(policy),
        scale_in=scale_in,
        minimum=minimum,
        maximum=maximum,
        tick=tick,
        seed=seed,
        queue=queue,
        world=world,
        airflow=airflow,
        launch=launch,
        launch_spread=launch_spread,
        slot_tail=slot_tail,
        retry_delay=retry_delay,
        price=price,
        log=log,
        report=report,
        plot=plot,
        slo=slo,
        by=by,
        check=check,
        as_json=as_json,
    )
    if config is None:
        raise typer.Exit(_played(options, runs, confidence))
    settings = load_settings(config)
    if target is None and len(settings.targets) > 1:
        if runs > 1:
            fail("runs: the configuration has several targets; choose one with --target", EXIT_USAGE)
        raise typer.Exit(_all_together(options, settings))
    name = target or next(iter(settings.targets))
    if name not in settings.targets:
        fail(f"{config}: there is no target {name!r}; it has {', '.join(settings.targets)}", EXIT_USAGE)
    same, controller = _as_configured(options, settings, name)
    raise typer.Exit(_played(same, runs, confidence, controller))


def _played(options: Options, runs: int, confidence: float, controller: Controller | None = None) -> int:
    if runs > 1:
        from simulations.replications import run_replications

        return run_replications(options, runs, confidence, controller)
    from simulations.command import run_command

    return run_command(options, controller)


def _all_together(options: Options, settings: Settings) -> int:
    from dataclasses import replace

    from simulations.together_command import Configured, run_together

    if options.check:
        fail("check: the configuration has several targets; choose one with --target", EXIT_USAGE)
    targets = {}
    for name, target in settings.targets.items():
        same, controller = _as_configured(replace(options, queue=None), settings, name)
        targets[name] = Configured(controller, same.slots, target.queues, same.tick, same.target)
    return run_together(options, targets)


def _as_configured(options: Options, settings: Settings, name: str) -> tuple[Options, Controller]:
    """The options and the controller as the daemon would have them."""
    from dataclasses import replace

    from autoscaler.controllers import controller_of

    target = settings.targets[name]
    same = replace(
        options,
        queues=() if options.queue is not None else target.queues,
        policy=target.policy,
        scale_in=None,
        minimum=target.minimum,
        maximum=target.maximum,
        slots=target.slots,
        tick=target.interval_seconds,
        target=target.model_dump(mode="json") | {"mode": "act", "parallelism": settings.airflow.parallelism},
    )
    return same, replace(controller_of(target, settings), observing=False)


@app.command()
def demo(
    plot: Annotated[
        Path | None, typer.Option(help="Where the picture goes; default ./demo-TIME.png.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the load and the launches.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Watch the real daemon size a fleet of real processes for two minutes, on this machine alone.

    Needs the extra 'demo'.  Exit code 0 if the fleet went out and came back and no task was lost.
    """
    from autoscaler.demo.command import demo as play

    raise typer.Exit(play(as_json=as_json, plot=plot, seed=seed))
