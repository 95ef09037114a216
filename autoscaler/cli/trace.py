"""Subcommands around task traces: export, import, describe, generate."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from autoscaler.cli.common import EXIT_USAGE, ConfigOption, JsonOption, TraceArgument, app, fail, needs
from autoscaler.cli.exporting import Database, is_typed, naming, tell, window, written

if TYPE_CHECKING:
    from autoscaler.trace_export import Exporter

trace_app = typer.Typer(
    help="Task traces: from Airflow, from other formats, made up, described.", no_args_is_help=True
)
app.add_typer(trace_app, name="trace")

OutArgument = Annotated[Path, typer.Argument(help="The trace to write: .parquet, .csv or .csv.gz.")]
Kind = TypeVar("Kind", bound=StrEnum)


@trace_app.command("export")
def trace_export(
    context: typer.Context,
    out: OutArgument,
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar="AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
            help="Airflow's database; better from the environment, where no process list shows it.",
            show_default=False,
        ),
    ] = None,
    database_url_file: Annotated[str | None, typer.Option(help="File that holds the URL.")] = None,
    database_url_secret: Annotated[str | None, typer.Option(help="AWS secret that holds it.")] = None,
    config: ConfigOption = None,
    since: Annotated[
        str, typer.Option(help="Tries that started from then on: a time, or 7d, 12h ago.")
    ] = "7d",
    until: Annotated[str, typer.Option(help="... and before then.")] = "0h",
    anonymize: Annotated[
        bool, typer.Option("--anonymize", help="Hash every name with a keyed hash.")
    ] = False,
    key_file: Annotated[
        Path | None, typer.Option(help="Key of the hashes, so that exports agree; else random.")
    ] = None,
    statement_timeout: Annotated[float, typer.Option(min=0.1, help="Seconds a query may take.")] = 30.0,
    celery_executor: Annotated[
        list[str] | None, typer.Option(help="Executor, beside the default one, that runs on workers.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Export what ran on Airflow's workers in a time window; reads only, in short transactions.

    Example: autoscaler trace export week.parquet --database-url-file url.txt --since 7d --anonymize
    Example: autoscaler trace export week.parquet --config autoscaler.toml
    """
    needs("simulate", "polars")
    from autoscaler.sources.airflow_db import Timeouts
    from autoscaler.trace_export import Exporter, Window

    typed = is_typed(context, "database_url")
    database = Database(database_url, database_url_file, database_url_secret, config, "--database-url", typed)
    credentials, settings = database.chosen()
    configured = settings.airflow.celery_executors if settings is not None else ("CeleryExecutor",)
    exporter = Exporter(
        credentials,
        Window(*window(since, until)),
        naming(anonymize=anonymize, key_file=key_file),
        Timeouts(statement_seconds=statement_timeout),
        celery_executors=celery_executor or configured,
    )
    _export(exporter, out)
    tell(exporter.tally, out, as_json=as_json)


def _export(exporter: Exporter, out: Path) -> None:
    import anyio

    from autoscaler.ports import SourceError
    from simulations.trace import TraceError
    from simulations.trace_write import check_name

    try:
        check_name(out)
    except TraceError as error:
        fail(str(error), EXIT_USAGE)
    try:
        anyio.run(written, exporter, out)
    except (SourceError, TraceError) as error:
        fail(str(error))


@trace_app.command("import")
def trace_import(
    source: Annotated[Path, typer.Argument(help="What to import; .gz is unpacked.")],
    out: OutArgument,
    kind: Annotated[
        str | None, typer.Option("--format", help="swf, wfcommons or csv; else the name tells it.")
    ] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", help="A CSV's column: ours=theirs, such as queued_at=submitted; repeat it."),
    ] = None,
    time_unit: Annotated[
        str, typer.Option(help="Of a CSV's instants given as numbers: s, ms, us, min.")
    ] = "s",
    duration_unit: Annotated[str, typer.Option(help="Of a CSV's durations: s, ms, us, min.")] = "s",
) -> None:
    """Import a trace in the Standard Workload Format, a WfCommons workflow, or any CSV.

    Example: autoscaler trace import jobs.csv jobs.parquet --map queued_at=submitted --map duration_s=ms
    --duration-unit ms
    """
    needs("simulate", "polars")
    from simulations.trace import TraceError
    from simulations.trace_import import CsvForm, Format, Unit, guessed, import_trace
    from simulations.trace_write import check_name

    columns = {}
    for pair in mapping or ():
        ours, equals, theirs = pair.partition("=")
        if not (ours and equals and theirs):
            fail(f"--map: expected ours=theirs, such as queued_at=submitted, got {pair}", EXIT_USAGE)
        columns[ours] = theirs
    try:
        check_name(out)
        form = CsvForm(
            columns, _choice("time-unit", time_unit, Unit), _choice("duration-unit", duration_unit, Unit)
        )
        chosen = guessed(source) if kind is None else _choice("format", kind, Format)
        done = import_trace(source, out, chosen, form)
    except TraceError as error:
        fail(str(error), EXIT_USAGE)
    typer.echo(f"{out}: {done.tasks:,} tasks")
    if done.left_out:
        typer.echo(f"  {done.left_out:,} jobs never ran: left out")


@trace_app.command("describe")
def trace_describe(
    trace: TraceArgument,
    plot: Annotated[Path | None, typer.Option(help="Draw it here: .png or .svg.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Describe a trace: sizes, durations, concurrency, when tasks arrive, and what to mind.

    Example: autoscaler trace describe week.parquet --plot week.png
    """
    needs("simulate", "polars")
    from simulations.describe import describe
    from simulations.describe_table import print_description
    from simulations.trace import TraceError
    from simulations.trace_file import read_trace

    try:
        loaded = read_trace(trace)
        print_description(describe(loaded), as_json=as_json)
        if plot is not None:
            needs("simulate", "matplotlib")
            from simulations.describe_plot import plot as draw

            draw(loaded, plot)
    except TraceError as error:
        fail(str(error), EXIT_USAGE)


@trace_app.command("generate")
def trace_generate(
    workload: Annotated[str, typer.Argument(help="poisson, diurnal, cron, bursts, heavy-tails or dags.")],
    out: OutArgument,
    tasks: Annotated[int, typer.Option(help="How many.")] = 10_000,
    days: Annotated[float, typer.Option(help="Over how long they arrive.")] = 7.0,
    concurrency: Annotated[
        float, typer.Option(help="Busy slots on average over these days, with unlimited workers.")
    ] = 20.0,
    seed: Annotated[int | None, typer.Option(help="Drawn and printed if not given.", min=0)] = None,
) -> None:
    """Make up a workload; the same seed gives the same file to the byte.

    Example: autoscaler trace generate cron cron.parquet --tasks 50000 --days 14 --seed 1
    """
    needs("simulate", "polars")
    import secrets

    from simulations.generate import Recipe, Workload, generate
    from simulations.trace import TraceError
    from simulations.trace_write import check_name, write_trace

    seed = secrets.randbits(32) if seed is None else seed
    typer.echo(f"seed {seed}")
    try:
        check_name(out)
        recipe = Recipe(_choice("workload", workload, Workload), tasks, days, concurrency)
        write_trace(generate(recipe, seed), out)
    except (TraceError, ValueError) as error:
        fail(str(error), EXIT_USAGE)
    typer.echo(f"{out}: {tasks:,} tasks")


def _choice(option: str, text: str, kinds: type[Kind]) -> Kind:
    try:
        return kinds(text)
    except ValueError:
        fail(f"{option}: expected one of {', '.join(kinds)}, got {text}", EXIT_USAGE)
