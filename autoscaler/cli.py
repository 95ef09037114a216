"""The `autoscaler` command.  Each subcommand imports what it needs when it needs it."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from autoscaler.settings import Settings
    from simulations.laws import LawResult

EXIT_FAILED = 1
EXIT_USAGE = 2
DEFAULT_CONFIG = Path("autoscaler.toml")
DEFAULT_URL = "http://127.0.0.1:9275"

app = typer.Typer(
    name="autoscaler",
    help="Sizes Airflow's Celery workers on Amazon ECS, explains every decision, and simulates them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(help="The configuration: example, JSON Schema, table.", no_args_is_help=True)
policies_app = typer.Typer(
    help="Policies: what there is, and whether one keeps the laws.", no_args_is_help=True
)
app.add_typer(config_app, name="config")
app.add_typer(policies_app, name="policies")

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="AUTOSCALER_CONFIG",
        help="TOML file; without one, ./autoscaler.toml if it exists.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
UrlOption = Annotated[str, typer.Option("--url", help="Address of the running daemon.")]


def main() -> None:
    """Runs the command; a broken pipe (`| head`) is no error."""
    try:
        app()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)


def fail(message: str, code: int = EXIT_FAILED) -> NoReturn:
    """Ends the command with a message on standard error."""
    for line in message.splitlines() or ["failed"]:
        typer.echo(f"autoscaler: {line}", err=True)
    raise typer.Exit(code)


def _settings(path: Path | None) -> Settings:
    from autoscaler.configuration import ConfigurationError, load

    if path is None and DEFAULT_CONFIG.exists():
        path = DEFAULT_CONFIG
    try:
        return load(path, os.environ)
    except ConfigurationError as error:
        fail(str(error), EXIT_USAGE)


@app.command()
def run(config: ConfigOption = None) -> None:
    """Run the daemon until SIGTERM or Ctrl-C; SIGHUP reloads the configuration.

    Example: autoscaler run --config autoscaler.toml
    """
    import anyio

    from autoscaler.configuration import load
    from autoscaler.daemon import Daemon
    from autoscaler.telemetry import configure_logging
    from autoscaler.wiring import WiringError

    settings = _settings(config)
    configure_logging(settings.log.format)
    path = config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
    daemon = Daemon(settings, reload=lambda: load(path, os.environ))
    try:
        anyio.run(daemon.run)
    except WiringError as error:
        fail(str(error), EXIT_USAGE)


@app.command()
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check configuration, database, AWS permissions and conflicts: a line each, with a remedy.

    Writes nothing.  Exit code 1 if anything must be mended.
    Example: autoscaler check --config autoscaler.toml
    """
    import anyio

    from autoscaler.checks import checked, printed

    findings = anyio.run(checked, _settings(config))
    printed(findings, as_json=as_json)
    if not all(finding.ok for _, finding in findings):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def status(url: UrlOption = DEFAULT_URL, as_json: JsonOption = False) -> None:
    """Show what a running daemon sees, wants and why.

    Example: autoscaler status --url http://127.0.0.1:9275
    """
    from autoscaler.explain import UnreachableError, fetch_status, print_status

    try:
        print_status(fetch_status(url), as_json=as_json)
    except UnreachableError as error:
        fail(str(error))


@app.command()
def explain(
    log: Annotated[
        Path | None, typer.Option(help="A file of decision records or of the daemon's log.")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    target: Annotated[str | None, typer.Option(help="Only this target.")] = None,
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="How many decisions.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Show the last decisions stage by stage, from a log or from a running daemon.

    Example: autoscaler explain -n 3        Example: autoscaler explain --log records.jsonl
    """
    from autoscaler.explain import (
        BadRecordError,
        UnreachableError,
        fetch_records,
        print_decisions,
        read_records,
    )

    try:
        records = fetch_records(url, target, last) if log is None else read_records(log, target, last)
    except BadRecordError as error:
        fail(str(error), EXIT_USAGE)
    except UnreachableError as error:
        fail(str(error))
    print_decisions(records, as_json=as_json)


@config_app.command("init")
def config_init() -> None:
    """Print a commented example configuration.

    Example: autoscaler config init > autoscaler.toml
    """
    from autoscaler.reference import example

    typer.echo(example(), nl=False)


@config_app.command("schema")
def config_schema() -> None:
    """Print the configuration's JSON Schema, for editors."""
    import json

    from autoscaler.reference import schema

    typer.echo(json.dumps(schema(), indent=2))


class Table(StrEnum):
    """Which reference table."""

    SETTINGS = "settings"
    METRICS = "metrics"


@config_app.command("table")
def config_table(which: Table = Table.SETTINGS) -> None:
    """Print the Markdown table of all settings, or of all metrics."""
    from autoscaler.reference import metrics_table, settings_table

    typer.echo(settings_table() if which is Table.SETTINGS else metrics_table())


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
    _needs("simulate", "hypothesis")
    from policies.catalog import PolicyError
    from simulations.laws import check_policy

    sys.path.insert(0, "")  # a policy of one's own usually lies in the working directory
    try:
        results = check_policy(_policy(policy), examples)
    except PolicyError as error:
        fail(str(error), EXIT_USAGE)
    _print_laws(results, as_json=as_json)
    if not all(result.ok for result in results):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def simulate(
    trace: Annotated[Path, typer.Argument(help="Task trace: .parquet, .csv or .csv.gz.")],
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
    launch: Annotated[float, typer.Option(help="Median seconds until a new worker takes tasks.")] = 59.0,
    launch_spread: Annotated[
        float, typer.Option(help="Spread of its logarithm; 0: always the median.")
    ] = 0.2,
    slot_tail: Annotated[float, typer.Option(help="Seconds a slot stays taken after its task.")] = 0.0,
    retry_delay: Annotated[
        float, typer.Option(help="Seconds until a task lost with its worker is queued.")
    ] = 600.0,
    price: Annotated[
        str, typer.Option(help="x86:VCPU:GB, arm:VCPU:GB, an MWAA class, or USD per hour.")
    ] = "x86:2:4",
    log: Annotated[Path | None, typer.Option(help="Write every decision here, a JSON line each.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Play a task trace against a policy in virtual time, with the daemon's own decision code.

    Example: autoscaler simulate trace.parquet --policy mwaa --min 1 --max 50 --slots 16
    """
    _needs("simulate", "polars")
    from simulations.command import Options, run_command

    sys.path.insert(0, "")
    options = Options(
        trace=trace,
        slots=slots,
        policy=_policy(policy),
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
        log=log,
        as_json=as_json,
    )
    raise typer.Exit(run_command(options))


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


def _print_laws(results: list[LawResult], *, as_json: bool) -> None:
    import json
    from dataclasses import asdict

    if as_json:
        typer.echo(json.dumps([asdict(result) for result in results], indent=2))
        return
    width = max(len(result.name) for result in results)
    for result in results:
        typer.echo(f"{'keeps ' if result.ok else 'BREAKS'}  {result.name:<{width}}  {result.detail}")


def _policy(text: str) -> dict[str, object]:
    """A policy's description from a name or a TOML table."""
    import tomllib

    if not text.lstrip().startswith("{"):
        return {"name": text}
    try:
        policy: dict[str, object] = tomllib.loads(f"policy = {text}")["policy"]
    except tomllib.TOMLDecodeError as error:
        fail(f"policy {text}: not a TOML table: {error}", EXIT_USAGE)
    return policy


def _needs(extra: str, module: str) -> None:
    from importlib.util import find_spec

    if find_spec(module) is None:
        remedy = f"pip install 'airflow-worker-autoscaler[{extra}]'"
        fail(f"this needs the extra '{extra}' ({module} is missing): {remedy}", EXIT_USAGE)
