"""Subcommands that explain the configuration."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from autoscaler.cli.common import config_app


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
def config_table(
    which: Annotated[Table, typer.Argument(help="Which table.")] = Table.SETTINGS,
) -> None:
    """Print the Markdown table of all settings, or of all metrics."""
    from autoscaler.reference import metrics_table, settings_table

    typer.echo(settings_table() if which is Table.SETTINGS else metrics_table())
