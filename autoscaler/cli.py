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
