"""The queries of an export.  Each reads a bounded number of rows, found by an index."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from autoscaler.trace_export.row import Window

TASKS: Final = "task_instance"
HISTORY: Final = "task_instance_history"
TABLES: Final = ("dag_run", TASKS, HISTORY, "serialized_dag", "slot_pool")
"""All that an export reads."""

TRY_COLUMNS: Final = (
    "task_id", "map_index", "try_number", "state", "queued_dttm", "scheduled_dttm", "start_date", "end_date",
    "queue", "executor", "pool", "pool_slots", "priority_weight", "dag_version_id",
)  # fmt: skip
_WHEN: Final = sa.DateTime(timezone=True)

_run = sa.table(
    "dag_run",
    *map(
        sa.column,
        ("id", "dag_id", "run_id", "run_type", "queued_at", "start_date", "end_date", "data_interval_start"),
    ),
)
_dag = sa.table(
    "serialized_dag",
    *map(sa.column, ("dag_id", "dag_version_id", "created_at")),
    sa.column("data", sa.JSON()),
    sa.column("data_compressed", sa.LargeBinary()),
)


def run_numbers() -> sa.Select[Any]:
    """(lowest, highest) primary key of all DAG runs."""
    return sa.select(sa.func.min(_run.c.id), sa.func.max(_run.c.id))


def runs(after: int, last: int, window: Window) -> sa.Select[Any]:
    """The DAG runs with numbers in (after, last] that may have had tries in the window.

    A run that was cleared has a later start, so its interval's start counts as well.
    """
    until, since = _instant(window.until), _instant(window.since)
    began = sa.or_(_run.c.start_date.is_(None), _run.c.start_date < until, _run.c.data_interval_start < until)
    ended = sa.or_(_run.c.end_date.is_(None), _run.c.end_date >= since)
    columns = _run.c
    return (
        sa.select(
            columns.id,
            columns.dag_id,
            columns.run_id,
            columns.run_type,
            columns.queued_at,
            columns.start_date,
            columns.data_interval_start,
        )
        .where(columns.id > after, columns.id <= last, began, ended)
        .order_by(columns.id)
    )


def tries(table: str, present: Collection[str], runs: Sequence[int]) -> sa.Select[Any]:
    """(run's number, the `TRY_COLUMNS`) of all tries of these runs that started."""
    names = ("dag_id", "run_id", *(name for name in TRY_COLUMNS if name in present))
    source = sa.table(table, *map(sa.column, names)).alias("t")
    columns = [
        source.c[name] if name in source.c else sa.cast(sa.null(), sa.String(1)).label(name)
        for name in TRY_COLUMNS
    ]
    same_run = sa.and_(source.c.dag_id == _run.c.dag_id, source.c.run_id == _run.c.run_id)
    return (
        sa.select(_run.c.id, *columns)
        .select_from(_run.join(source, same_run))
        .where(_run.c.id.in_(runs), source.c.start_date.is_not(None))
    )


def document(dag: str, version: Any, *, versioned: bool) -> sa.Select[Any]:
    """(data, compressed data) of a DAG: of one version, else the newest."""
    query = sa.select(_dag.c.data, _dag.c.data_compressed)
    if version is not None and versioned:
        return query.where(_dag.c.dag_version_id == version)
    query = query.where(_dag.c.dag_id == dag)
    return query.order_by(_dag.c.created_at.desc()).limit(1) if versioned else query


def pools() -> sa.TextClause:
    """(pool, slots)."""
    return sa.text("SELECT pool, slots FROM slot_pool")


def _instant(seconds: float) -> sa.BindParameter[datetime]:
    return sa.literal(datetime.fromtimestamp(seconds, UTC), _WHEN)
