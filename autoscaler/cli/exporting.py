"""What `autoscaler trace export` needs beside the export: options understood, progress, the last word."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autoscaler.cli.common import EXIT_USAGE, fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autoscaler.sources.airflow_db import Credentials
    from autoscaler.trace_export import Names, Tally

KEY_BYTES = 32
SHORTEST_KEY_BYTES = 16


def credentials(url: str | None, file: str | None, secret: str | None) -> Credentials:
    """Whichever of the three is given; ends the command if none is."""
    from autoscaler.sources.airflow_db import fixed, from_file, from_secrets_manager

    # The environment variable may be there beside an option, which then is meant.
    if file is not None:
        return from_file(file)
    if secret is not None:
        return from_secrets_manager(secret)
    if url is None:
        fail("which database? give --database-url-file, --database-url-secret or --database-url", EXIT_USAGE)
    return fixed(url)


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
            return now - float(text[:-1]) * units[text[-1]]
        instant = datetime.fromisoformat(text)
    except ValueError:
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


def tell(tally: Tally, out: Path, *, as_json: bool) -> None:
    """What was exported, and what was not."""
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
    if tally.pools:
        pools = ", ".join(f"{pool} {slots}" for pool, slots in tally.pools.items())
        typer.echo(f"  pools (slots): {pools}")
