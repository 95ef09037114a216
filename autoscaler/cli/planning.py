"""Subcommands that plan a fleet from a task trace: compare, sweep, recommend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autoscaler.cli.common import EXIT_USAGE, JsonOption, TraceArgument, app, fail, find_policies_here, needs

if TYPE_CHECKING:
    from simulations.space import Space
    from simulations.trace import Trace

PolicyOption = Annotated[
    str, typer.Option(help="A policy's name or TOML table, or a configuration: FILE.toml[:TARGET].")
]
VaryOption = Annotated[
    list[str] | None,
    typer.Option(
        "--vary",
        help="NAME=VALUE,VALUE of policy, guards, min, max, slots, tick or price; may be given again.",
    ),
]
RandomOption = Annotated[
    int | None,
    typer.Option("--random", help="So many combinations by lot; then --vary takes ranges, NAME=LOW..HIGH."),
]
MinimumOption = Annotated[int | None, typer.Option("--min", help="Fewest workers; default 1.")]
MaximumOption = Annotated[int | None, typer.Option("--max", help="Most workers; default 10.")]
SlotsOption = Annotated[
    int | None, typer.Option(help="Tasks a worker runs at a time; default 16, or the policy's MWAA class's.")
]
TickOption = Annotated[float, typer.Option(help="Seconds between two decisions.")]
PriceOption = Annotated[
    str, typer.Option(help="x86:VCPU:GB[:spot], arm:VCPU:GB[:spot], an MWAA class, or USD per hour.")
]
QueueOption = Annotated[str | None, typer.Option(help="Only the tasks of this queue.")]
SeedOption = Annotated[int | None, typer.Option(help="Of everything random; drawn and printed if not given.")]
RunsOption = Annotated[int, typer.Option(help="Replications; the n-th has the same luck for all.")]
WorldOption = Annotated[
    Path | None,
    typer.Option(help="What Airflow, workers and source are like; see simulate --example-world."),
]
AirflowOption = Annotated[
    str | None, typer.Option(help="Which Airflow is played: 3.3 (default), 2.11, or plain: only a queue.")
]
LaunchOption = Annotated[
    float | None, typer.Option(help="Median seconds until a new worker takes tasks; default 59.")
]
SpreadOption = Annotated[
    float | None, typer.Option(help="Spread of its logarithm; 0: always the median; default 0.2.")
]
TailOption = Annotated[
    float | None, typer.Option(help="Seconds a slot stays taken after its task; default: the Airflow's.")
]
RetryOption = Annotated[
    float | None,
    typer.Option(help="Seconds until a task lost with its worker is queued again; default 600."),
]
JobsOption = Annotated[int | None, typer.Option("--jobs", "-j", help="Processes at a time; default: cores.")]
DaskOption = Annotated[
    str | None,
    typer.Option(help="A Dask scheduler's HOST:PORT: its workers do it, not these cores."),
]
ReportOption = Annotated[
    Path | None, typer.Option(help="Write a page of it all here, for any browser: .html.")
]
ConfidenceOption = Annotated[float, typer.Option(help="Of what is said, between 0 and 1.")]


@contextmanager
def _usage_errors() -> Iterator[None]:
    """A wrong setting ends the command with its one line."""
    try:
        yield
    except ValueError as error:
        fail(str(error), EXIT_USAGE)


def _base(
    minimum: int | None, maximum: int | None, slots: int | None, tick: float, price: str
) -> dict[str, Any]:
    """The target's table that the options say; what they leave out has the daemon's default."""
    given = {"slots_per_worker": slots, "min_workers": minimum, "max_workers": maximum}
    chosen = {name: value for name, value in given.items() if value is not None}
    return {"price": price, "interval_seconds": tick, **chosen}


@app.command()
def compare(
    trace: TraceArgument,
    candidates: Annotated[
        list[str],
        typer.Argument(
            help="Policy names or TOML tables, target tables, or FILE.toml[:TARGET]; two or more."
        ),
    ],
    minimum: MinimumOption = None,
    maximum: MaximumOption = None,
    slots: SlotsOption = None,
    tick: TickOption = 30.0,
    price: PriceOption = "x86:2:4",
    runs: RunsOption = 5,
    confidence: ConfidenceOption = 0.95,
    queue: QueueOption = None,
    seed: SeedOption = None,
    world: WorldOption = None,
    airflow: AirflowOption = None,
    launch: LaunchOption = None,
    launch_spread: SpreadOption = None,
    slot_tail: TailOption = None,
    retry_delay: RetryOption = None,
    jobs: JobsOption = None,
    dask: DaskOption = None,
    as_json: JsonOption = False,
) -> None:
    """Play policies or configurations side by side on one trace, with the same luck for all.

    Example: autoscaler compare trace.parquet mwaa '{name = "mwaa", scale_in = "continuous"}' --max 50
    Example: autoscaler compare trace.parquet today.toml tomorrow.toml:default
    """
    needs("simulate", "polars")
    if dask is not None:
        needs("dask", "distributed")
    find_policies_here()
    from autoscaler.cli.candidates import candidate_of, setting_of
    from simulations.compare import run_compare
    from simulations.study import Frame

    if len(candidates) < 2:
        fail(f"compare: expected two or more candidates, got {len(candidates)}", EXIT_USAGE)
    base = _base(minimum, maximum, slots, tick, price)
    with _usage_errors():
        built = [candidate_of(setting_of(text, base), text) for text in candidates]
    delays = (launch, launch_spread, slot_tail, retry_delay)
    frame = Frame(trace, queue, seed, runs, *delays, jobs, as_json, world, airflow, dask)
    raise typer.Exit(run_compare(frame, built, confidence))


@app.command()
def sweep(
    trace: TraceArgument,
    vary: VaryOption = None,
    policy: PolicyOption = "mwaa",
    random: RandomOption = None,
    minimum: MinimumOption = None,
    maximum: MaximumOption = None,
    slots: SlotsOption = None,
    tick: TickOption = 30.0,
    price: PriceOption = "x86:2:4",
    runs: RunsOption = 1,
    out: Annotated[
        Path | None,
        typer.Option(help="File of results, a JSON line a run; what is in it already is not run again."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw cost against wait here: .png, .svg, .pdf.")] = None,
    report: ReportOption = None,
    queue: QueueOption = None,
    seed: SeedOption = None,
    world: WorldOption = None,
    airflow: AirflowOption = None,
    launch: LaunchOption = None,
    launch_spread: SpreadOption = None,
    slot_tail: TailOption = None,
    retry_delay: RetryOption = None,
    jobs: JobsOption = None,
    dask: DaskOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try many settings on one trace, on all cores, and mark the Pareto front of cost against p95 wait.

    Ctrl-C keeps what is done; the same command goes on from there.
    Example: autoscaler sweep trace.parquet --vary max=10,20,50 --vary idle_seconds=60,120,300
    Example: autoscaler sweep trace.parquet --random 200 --vary max=5..80 --vary cooldown_in_seconds=0..900
    """
    needs("simulate", "polars")
    if dask is not None:
        needs("dask", "distributed")
    find_policies_here()
    from simulations.study import Frame
    from simulations.sweep import Search, run_sweep

    if not vary:
        fail("sweep: expected at least one --vary NAME=VALUE,VALUE", EXIT_USAGE)
    with _usage_errors():
        space = _space(policy, _base(minimum, maximum, slots, tick, price), vary)
    delays = (launch, launch_spread, slot_tail, retry_delay)
    frame = Frame(trace, queue, seed, runs, *delays, jobs, as_json, world, airflow, dask)
    raise typer.Exit(run_sweep(frame, space, Search(random, out, plot, report)))


@app.command()
def recommend(
    trace: TraceArgument,
    slo: Annotated[str, typer.Option(help="The promise: 'p95 wait < 60s', 'mean wait < 2 min', ...")],
    vary: VaryOption = None,
    policy: PolicyOption = "mwaa",
    random: RandomOption = None,
    confidence: ConfidenceOption = 0.95,
    split: Annotated[float, typer.Option(help="Share of the time to tune on; the rest judges.")] = 0.7,
    slots: SlotsOption = None,
    tick: TickOption = 30.0,
    price: PriceOption = "x86:2:4",
    runs: RunsOption = 3,
    queue: QueueOption = None,
    seed: SeedOption = None,
    world: WorldOption = None,
    airflow: AirflowOption = None,
    launch: LaunchOption = None,
    launch_spread: SpreadOption = None,
    slot_tail: TailOption = None,
    retry_delay: RetryOption = None,
    jobs: JobsOption = None,
    dask: DaskOption = None,
    report: ReportOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name the cheapest setting that keeps a promise on this history, as a configuration block.

    Without --vary: bounds in shares of the peak, the mode of scale-in, and how long it waits.
    Exit code 1 if nothing keeps the promise; then the closest is named.
    Example: autoscaler recommend trace.parquet --slo "p95 wait < 60s" --slots 16
    """
    needs("simulate", "polars")
    if dask is not None:
        needs("dask", "distributed")
    find_policies_here()
    from autoscaler.cli.candidates import less_of, mwaa_classes, setting_in
    from simulations.advice import Plan, run_recommend
    from simulations.recommend import Question
    from simulations.slo import parse
    from simulations.study import Frame

    base = _base(None, None, slots, tick, price)

    def space_of(tuned: Trace) -> Space:
        return _space(policy, base, vary) if vary else _usual_space(policy, base, tuned)

    with _usage_errors():
        question = Question(parse(slo), confidence, split)
        if vary:
            _space(policy, base, vary)
    delays = (launch, launch_spread, slot_tail, retry_delay)
    frame = Frame(trace, queue, seed, runs, *delays, jobs, as_json, world, airflow, dask)
    in_file = setting_in(policy) is not None
    target = policy.rpartition(".toml")[2].removeprefix(":") if in_file else ""
    whole_file, rivals = not in_file, mwaa_classes()
    goes_on = not vary  # who names the values wants one of them
    plan = Plan(space_of, less_of, rivals, random, target or "default", whole_file, report, goes_on)
    raise typer.Exit(run_recommend(frame, question, plan))


def _space(policy: str, base: dict[str, Any], vary: list[str]) -> Space:
    from autoscaler.cli.candidates import candidate_of, place_in, setting_of
    from simulations.space import Space
    from simulations.vary import parse

    setting = setting_of(policy, base)
    place_of = place_in(setting)
    return Space(setting, [parse(text, place_of) for text in vary], candidate_of)


def _usual_space(policy: str, base: dict[str, Any], tuned: Trace) -> Space:
    from autoscaler.cli.candidates import candidate_of, setting_of
    from simulations.recommend import peak_workers, usual_axes
    from simulations.space import Space

    setting = setting_of(policy, base)
    candidate = candidate_of(setting, policy)
    plain = setting.get("policy", {"name": "mwaa"})
    mwaa = plain.get("name") == "mwaa" and "scale_in" not in plain
    axes = usual_axes(peak_workers(tuned, candidate.slots), mwaa=mwaa)
    return Space(setting, axes, candidate_of)
