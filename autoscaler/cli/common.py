"""What all subcommands share: the application, options, exit codes, errors."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from autoscaler.settings import Settings
    from simulations.trace_place import TracePlace
    from simulations.trace_place import TracePlace as File
else:

    class File:
        """What help calls a `TracePlace`, whose module few command lines need to import."""


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


def _place(text: str) -> TracePlace:
    from simulations.trace_place import place_of

    return place_of(text)


TraceArgument = Annotated[
    File,
    typer.Argument(
        parser=_place,
        metavar="TRACE",
        help="Task trace: .parquet, .csv or .csv.gz; a file, or s3://BUCKET/KEY.",
    ),
]


def fail(message: str, code: int = EXIT_FAILED) -> NoReturn:
    """Ends the command with a message on standard error."""
    for line in message.splitlines() or ["failed"]:
        typer.echo(f"autoscaler: {line}", err=True)
    raise typer.Exit(code)


def find_policies_here() -> None:
    """Lets `pkg.mod:Class` name a module of the working directory, where a policy of one's own often lies.

    Behind all that is installed, so that no file there stands in for another module.
    """
    if "" not in sys.path:
        sys.path.append("")


def load_settings(path: Path | None) -> Settings:
    """The configuration of a file, of ./autoscaler.toml, or of the environment; ends the command if wrong."""
    from autoscaler.configuration import ConfigurationError, load

    find_policies_here()
    if path is None and DEFAULT_CONFIG.exists():
        path = DEFAULT_CONFIG
    try:
        return load(path, os.environ)
    except ConfigurationError as error:
        fail(str(error), EXIT_USAGE)


def policy_of(text: str) -> dict[str, object]:
    """A policy's description from a name or a TOML table."""
    import tomllib

    if not text.lstrip().startswith("{"):
        return {"name": text}
    try:
        policy: dict[str, object] = tomllib.loads(f"policy = {text}")["policy"]
    except tomllib.TOMLDecodeError as error:
        fail(f"policy {text}: not a TOML table: {error}", EXIT_USAGE)
    return policy


def needs(extra: str, module: str) -> None:
    """Ends the command with the remedy if an optional module is missing."""
    from importlib.util import find_spec

    if find_spec(module) is None:
        remedy = f"pip install 'airflow-worker-autoscaler[{extra}]'"
        fail(f"this needs the extra '{extra}' ({module} is missing): {remedy}", EXIT_USAGE)
