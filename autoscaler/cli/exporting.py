"""What `autoscaler trace export` needs beside the export: options understood, progress, the last word."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autoscaler.cli.common import DEFAULT_CONFIG, EXIT_USAGE, fail, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from autoscaler.settings import Settings
    from autoscaler.sources.airflow_db import Credentials
    from autoscaler.trace_export import Exporter, Names, Tally

KEY_BYTES = 32
SHORTEST_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Database:
    """The ways in which a command line may name Airflow's database; the first that is given is meant."""

    url: str | None
    url_file: str | None
    url_secret: str | None
    config: Path | None
    """The daemon's configuration."""
    url_option: str
    """The name of the option that takes the URL."""
    url_is_typed: bool
    """It was given as an option, and not by the environment, which any option outdoes."""

    def chosen(self) -> tuple[Credentials, Settings | None]:
        """The credentials, and the configuration if they come from it; ends the command if there are none."""
        from autoscaler.sources.airflow_db import fixed, from_file, from_secrets_manager

        if self.url_file is not None:
            return from_file(self.url_file), None
        if self.url_secret is not None:
            return from_secrets_manager(self.url_secret), None
        if self.url is not None and (self.url_is_typed or self.config is None):
            return fixed(self.url), None
        if self.config is None and not DEFAULT_CONFIG.exists():
            option = self.url_option
            fail(f"which database? give {option}-file, {option}-secret, {option} or --config", EXIT_USAGE)
        return self._configured()

    def _configured(self) -> tuple[Credentials, Settings]:
        from autoscaler.wiring import credentials_of

        settings = load_settings(self.config)
        if not settings.airflow.has_database:
            where = self.config or DEFAULT_CONFIG
            fail(f"{where}: airflow.database_url (or _file, or _secret) is not set", EXIT_USAGE)
        return credentials_of(settings), settings


def is_typed(context: typer.Context, parameter: str) -> bool:
    """Whether an option was given on the command line itself."""
    source = context.get_parameter_source(parameter)
    return source is not None and source.name == "COMMANDLINE"


def naming(*, anonymize: bool, key_file: Path | None) -> Names:
    """How names are written: as they are, or hashed with a key of one's own or a random one."""
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
    if len(key) < SHORTEST_KEY_BYTES:
        fail(f"{key_file}: expected a key of at least {SHORTEST_KEY_BYTES} bytes, got {len(key)}", EXIT_USAGE)
    return anonymous(key)


def window(since: str, until: str) -> tuple[float, float]:
    """(since, until) in Unix seconds; ends the command if there is no time between them."""
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
            instant = datetime.fromtimestamp(now - float(text[:-1]) * units[text[-1]], UTC)
        else:
            instant = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        fail(f"--{option}: expected a time such as 2026-03-01T06:00Z, or 7d or 12h, got {text}", EXIT_USAGE)
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()


@contextmanager
def progress() -> Iterator[Callable[[int, int], None] | None]:
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


async def written(exporter: Exporter, out: Path, only: Collection[str] = ()) -> None:
    """The export as a file, of these queues or of all; nothing is left of it if it fails.

    Raises `SourceError`, and `TraceError` if there is no task or the file cannot be written.
    """
    from autoscaler.trace_export import TraceRow, of_queues
    from simulations.trace_write import frame_of, writing

    try:
        with writing(out) as pages, progress() as on_progress:
            async for rows in exporter.pages(on_progress):
                pages.add(frame_of(of_queues(rows, only) if only else rows, TraceRow._fields))
    finally:
        await exporter.aclose()


def tell(tally: Tally, out: Path, *, as_json: bool) -> None:
    """What was exported, and what was not."""
    import json
    from dataclasses import asdict

    if as_json:
        typer.echo(json.dumps({"trace": str(out), **asdict(tally)}, indent=2))
        return
    typer.echo(f"{out}: {tally.tasks:,} task tries of {tally.runs:,} DAG runs")
    for note in notes_of(tally):
        typer.echo(f"  {note}")


def notes_of(tally: Tally) -> Iterator[str]:
    """What to know of an export, a line each."""
    notes = (
        (tally.still_running, "still running: left out, since how long they take is not known yet"),
        (tally.off_worker, "ran without a worker (empty tasks, other executors): rows of no slots"),
        (tally.without_parents, "of DAGs that are no longer serialized: late arrivals are baked in"),
        (tally.rescheduled, "of sensors in reschedule mode: only their last look is known"),
    )
    for count, what in notes:
        if count:
            yield f"{count:,} {what}"
    for dag, why in tally.unreadable_dags.items():
        yield f"{dag}: its serialized DAG was not understood: {why}"
    if tally.pools:
        pools = ", ".join(f"{pool} {slots}" for pool, slots in tally.pools.items())
        yield f"pools (slots): {pools}"
