"""Subcommand guard: the sidecar in a worker's ECS task."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from autoscaler.cli.common import EXIT_USAGE, app, fail, needs


@app.command()
def guard(
    show_settings: Annotated[
        bool, typer.Option("--settings", help="Print the environment variables it reads, and end.")
    ] = False,
) -> None:
    """Guard one worker: a sidecar that keeps the worker's ECS task protected while the worker holds work.

    Configured by the environment alone; without any setting it runs beside the worker in one process
    namespace (`pidMode: task`) on Fargate 1.4.0.  `/healthz` says when the worker may start.

    Example: autoscaler guard        Example: autoscaler guard --settings
    """
    import anyio

    from autoscaler.guard.settings import METADATA_VARIABLE, GuardConfigurationError, described, load

    if show_settings:
        typer.echo(described())
        return
    try:
        settings = load(os.environ)
    except GuardConfigurationError as error:
        fail(str(error), EXIT_USAGE)
    if settings.celery.has_broker:
        needs("celery", "kombu")
    from autoscaler.guard.start import run
    from autoscaler.ports import IntakeError
    from autoscaler.telemetry import configure_logging

    configure_logging("auto")
    try:
        anyio.run(run, settings, os.environ.get(METADATA_VARIABLE))
    except IntakeError as error:
        fail(str(error), EXIT_USAGE)
    except OSError as error:
        fail(f"{settings.host}:{settings.port}: cannot listen: {error.strerror or error}", EXIT_USAGE)
