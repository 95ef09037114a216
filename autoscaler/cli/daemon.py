"""Subcommands around the daemon: run, check, status, explain."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from autoscaler.cli.common import (
    DEFAULT_CONFIG,
    DEFAULT_URL,
    EXIT_FAILED,
    EXIT_USAGE,
    ConfigOption,
    JsonOption,
    UrlOption,
    app,
    fail,
    load_settings,
)


@app.command()
def run(config: ConfigOption = None) -> None:
    """Run the daemon until SIGTERM or Ctrl-C; SIGHUP reloads the configuration.

    Example: autoscaler run --config autoscaler.toml
    """
    import signal

    # Until the daemon listens for it, a reload waits: unheard it would end the process.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    import anyio

    from autoscaler.configuration import load
    from autoscaler.daemon import Daemon
    from autoscaler.telemetry import configure_logging
    from autoscaler.wiring import WiringError

    settings = load_settings(config)
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

    findings = anyio.run(checked, load_settings(config))
    printed(findings, as_json=as_json)
    if not all(finding.ok for _, finding in findings):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def status(url: UrlOption = DEFAULT_URL, as_json: JsonOption = False) -> None:
    """Show what a running daemon sees, wants and why.

    Example: autoscaler status --url http://127.0.0.1:9275
    """
    from autoscaler.asking import UnreachableError
    from autoscaler.explain import fetch_status, print_status

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
    from autoscaler.asking import UnreachableError
    from autoscaler.explain import (
        BadRecordError,
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
