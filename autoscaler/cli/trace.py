"""Subcommands around task traces: export, import, describe, generate."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoscaler.cli.common import EXIT_USAGE, JsonOption, app, fail, needs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autoscaler.sources.airflow_db import Credentials
    from autoscaler.trace_export import Exporter, Names, Tally

trace_app = typer.Typer(
    help="Task traces: from Airflow, from other formats, made up, described.", no_args_is_help=True
)
app.add_typer(trace_app, name="trace")

OutArgument = Annotated[Path, typer.Argument(help="The trace to write: .parquet, .csv or .csv.gz.")]
KEY_BYTES = 32


@trace_app.command("export")
def trace_export(
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
    """
    needs("simulate", "polars")
    from autoscaler.sources.airflow_db import Timeouts
    from autoscaler.trace_export import Exporter, Window

    exporter = Exporter(
        _credentials(database_url, database_url_file, database_url_secret),
        Window(*_window(since, until)),
        _names(anonymize=anonymize, key_file=key_file),
        Timeouts(statement_seconds=statement_timeout),
        celery_executors=celery_executor or ("CeleryExecutor",),
    )
    _export(exporter, out)
    _tell(exporter.tally, out, as_json=as_json)


def _export(exporter: Exporter, out: Path) -> None:
    import anyio

    from autoscaler.ports import SourceError
    from autoscaler.trace_export import TraceRow
    from simulations.trace import TraceError
    from simulations.trace_write import check_name, frame_of, writing

    async def write() -> None:
        try:
            with writing(out) as pages, _progress() as on_progress:
                async for rows in exporter.pages(on_progress):
                    pages.add(frame_of(rows, TraceRow._fields))
        finally:
            await exporter.aclose()

    try:
        check_name(out)
    except TraceError as error:
        fail(str(error), EXIT_USAGE)
    try:
        anyio.run(write)
    except (SourceError, TraceError) as error:
        fail(str(error))


def _credentials(url: str | None, file: str | None, secret: str | None) -> Credentials:
    from autoscaler.sources.airflow_db import fixed, from_file, from_secrets_manager

    # The environment variable may be there beside an option, which then is meant.
    if file is not None:
        return from_file(file)
    if secret is not None:
        return from_secrets_manager(secret)
    if url is None:
        fail("which database? give --database-url-file, --database-url-secret or --database-url", EXIT_USAGE)
    return fixed(url)


def _names(*, anonymize: bool, key_file: Path | None) -> Names:
    import secrets

    from autoscaler.trace_export import anonymous, plain

    if not anonymize:
        if key_file is not None:
            fail("--key-file goes with --anonymize", EXIT_USAGE)
        return plain
    if key_file is None:
        return anonymous(secrets.token_bytes(KEY_BYTES))
    try:
        key = key_file.read_bytes().strip()
    except OSError as error:
        fail(f"{key_file}: the key cannot be read: {error.strerror}", EXIT_USAGE)
    if len(key) < 16:
        fail(f"{key_file}: expected a key of at least 16 bytes, got {len(key)}", EXIT_USAGE)
    return anonymous(key)


def _window(since: str, until: str) -> tuple[float, float]:
    import time

    now = time.time()
    start, end = _instant("since", since, now), _instant("until", until, now)
    if start >= end:
        fail(f"--since {since} is not before --until {until}", EXIT_USAGE)
    return start, end


def _instant(option: str, text: str, now: float) -> float:
    """Unix seconds of `2026-03-01T06:00Z` (UTC unless it says otherwise), or of so long ago: `7d`."""
    from datetime import UTC, datetime

    units = {"d": 86_400.0, "h": 3600.0, "m": 60.0}
    try:
        if text[-1:] in units:
            return now - float(text[:-1]) * units[text[-1]]
        instant = datetime.fromisoformat(text)
    except ValueError:
        fail(f"--{option}: expected a time such as 2026-03-01T06:00Z, or 7d or 12h, got {text}", EXIT_USAGE)
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """A bar on standard error, where a person watches."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("DAG runs")
        yield lambda done, total: progress.update(bar, completed=done, total=total)


def _tell(tally: Tally, out: Path, *, as_json: bool) -> None:
    import json
    from dataclasses import asdict

    if as_json:
        typer.echo(json.dumps({"trace": str(out), **asdict(tally)}, indent=2))
        return
    typer.echo(f"{out}: {tally.tasks:,} task tries of {tally.runs:,} DAG runs")
    notes = (
        (tally.still_running, "still running: left out, since how long they take is not known yet"),
        (tally.off_worker, "ran without a worker (empty tasks, other executors): left out"),
        (tally.without_parents, "of DAGs that are no longer serialized: late arrivals are baked in"),
        (tally.rescheduled, "of sensors in reschedule mode: only their last look is known"),
    )
    for count, what in notes:
        if count:
            typer.echo(f"  {count:,} {what}")
    for dag, why in tally.unreadable_dags.items():
        typer.echo(f"  {dag}: its serialized DAG was not understood: {why}")
    pools = ", ".join(f"{pool} {slots}" for pool, slots in tally.pools.items())
    typer.echo(f"  pools (slots): {pools}")
