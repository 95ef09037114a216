"""Reads the database once: is it alive, which Airflow is it, what is the load, who is busy."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from autoscaler.ports import SourceError
from autoscaler.sources.airflow_db import statements
from autoscaler.sources.airflow_db.connection import Session
from autoscaler.sources.airflow_db.schema import Schema, recognised
from autoscaler.sources.airflow_db.snapshot import UNKNOWN_HOST, BusyRow, LoadRow

MOST_ROWS = 20_000
"""Of one answer; five thousand workers that serve a few queues have so many groups."""
MOST_TEXT = 1000
"""Of a name; Airflow's longest column, the host's, has room for so many characters."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts as alive."""

    heartbeat_max_age_seconds: float = 30.0
    """A scheduler silent for longer is dead; schedulers send a heartbeat every 5 s by default."""
    phantom_seconds: float = 300.0
    """A running task silent for longer is a phantom; Airflow's own time-out is 300 s by default."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the queries returned."""

    schema: Schema
    schedulers: int
    load: tuple[LoadRow, ...]
    busy: tuple[BusyRow, ...]


async def read(session: Session, limits: Limits) -> Reading:
    """All of it, liveness first.  Raises `SourceError` for what is alive but not credible."""
    await require_primary(session)
    schedulers = await live_schedulers(session, limits.heartbeat_max_age_seconds)
    schema = await read_schema(session)
    load = await _groups(session, statements.load(schema, limits.phantom_seconds))
    busy = await _groups(session, statements.busy(schema, limits.phantom_seconds))
    return Reading(
        schema,
        schedulers,
        tuple(
            LoadRow(
                _text(queue), _text(executor), state, bool(phantom), int(tasks), max(0.0, float(wait or 0.0))
            )
            for queue, executor, state, phantom, tasks, wait in load
        ),
        tuple(
            BusyRow(_text(host) or UNKNOWN_HOST, _text(queue), _text(executor), bool(phantom), int(tasks))
            for host, queue, executor, phantom, tasks in busy
        ),
    )


async def _groups(session: Session, query: sa.Select[Any]) -> list[tuple[Any, ...]]:
    """The rows of a grouped query.  Raises `SourceError` for more than any Airflow has."""
    rows = await rows_of(session, query.limit(MOST_ROWS + 1))
    if len(rows) > MOST_ROWS:
        raise SourceError(
            f"{session.address.place}: tasks of more than {MOST_ROWS:,} hosts, queues and executors; "
            "check that the URL names Airflow's database"
        )
    return rows


def _text(value: Any) -> str | None:
    """A name, or none.  Raises `ValueError`: names are compared, shown and kept."""
    if value is None or (isinstance(value, str) and len(value) <= MOST_TEXT):
        return value
    raise ValueError(f"expected a name of at most {MOST_TEXT} characters, got {reprlib.repr(value)}")


async def require_primary(session: Session) -> None:
    """Raises `SourceError` on a replica: it lags, and lagging looks like idle."""
    match session.backend:
        case "postgresql":
            flags: tuple[Any, ...] = (await rows_of(session, sa.text("SELECT pg_is_in_recovery()")))[0]
        case "mysql":
            variables = sa.text("SELECT @@GLOBAL.read_only, @@GLOBAL.innodb_read_only")
            flags = (await rows_of(session, variables))[0]
        case _:
            return
    if any(str(flag).upper() not in {"0", "OFF", "FALSE"} for flag in flags):
        raise SourceError(
            f"{session.address.place}: this is a read-only replica, which may lag; "
            "use the address of the primary (the writer endpoint)"
        )


async def live_schedulers(session: Session, max_age_seconds: float) -> int:
    """How many schedulers have a fresh heartbeat by the database's clock; `SourceError` if none has."""
    session.table = "job"
    ages = [row[0] for row in await rows_of(session, statements.scheduler_ages()) if row[0] is not None]
    # A heartbeat from the future is no better than an old one: it would look fresh for ever.
    fresh = [age for age in ages if abs(age) <= max_age_seconds]
    if fresh:
        return len(fresh)
    place = session.address.place
    if not ages:
        raise SourceError(
            f"{place}: no Airflow scheduler is running; "
            "start one, or check that the URL names Airflow's database"
        )
    age = min(ages, key=abs)
    if age < 0:
        raise SourceError(
            f"{place}: the scheduler's heartbeat is {-age:.0f} s ahead of the database's clock; "
            "set the clocks right"
        )
    raise SourceError(
        f"{place}: the last scheduler heartbeat is {age:.0f} s old, expected at most {max_age_seconds:g} s; "
        "see whether the scheduler runs and whether the URL names the right database"
    )


async def read_schema(session: Session) -> Schema:
    """Which Airflow this is.  Read every time: an upgrade may happen under a running daemon."""
    session.table = "task_instance"
    result = await session.connection.execute(statements.columns_of("task_instance"))
    columns = tuple(result.keys())
    result.close()
    try:
        return recognised(columns)
    except SourceError as error:
        raise SourceError(f"{session.address.place}: {error}") from None


async def rows_of(session: Session, query: sa.Executable) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    return [tuple(row) for row in await session.connection.execute(query)]
