"""The queries.  Ages are taken by the database's clock, never by ours.

All of them read a bounded number of rows whatever the size of Airflow's past: unfinished task
instances through `ti_state`, running jobs through `idx_job_state_heartbeat`.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from autoscaler.sources.airflow_db.schema import Generation, Schema

SCHEDULER: Final = "SchedulerJob"
RUNNING: Final = "running"
RESTARTING: Final = "restarting"
QUEUED: Final = "queued"
SCHEDULED: Final = "scheduled"
STATES: Final = (QUEUED, RUNNING, RESTARTING, SCHEDULED)

_job = sa.table("job", *map(sa.column, ("id", "job_type", "state", "latest_heartbeat")))
_task = sa.table(
    "task_instance",
    *map(
        sa.column,
        (
            "dag_id",
            "task_id",
            "run_id",
            "state",
            "queue",
            "executor",
            "hostname",
            "duration",
            "queued_dttm",
            "start_date",
            "job_id",
            "last_heartbeat_at",
        ),
    ),
)


class seconds_since(FunctionElement[float]):  # noqa: N801 - it reads as the SQL function it is
    """Seconds from a column's instant until now, by the database's clock; NULL stays NULL."""

    type = sa.Float()
    inherit_cache = True
    name = "seconds_since"


@compiles(seconds_since, "postgresql")
def _postgresql(element: seconds_since, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST(EXTRACT(EPOCH FROM now() - {compiler.process(element.clauses, **kw)}) AS DOUBLE PRECISION)"


@compiles(seconds_since, "mysql")
@compiles(seconds_since, "mariadb")
def _mysql(element: seconds_since, compiler: SQLCompiler, **kw: Any) -> str:
    # Airflow writes UTC into columns without a zone; the connection's time zone is UTC as well.
    instant = compiler.process(element.clauses, **kw)
    return f"TIMESTAMPDIFF(MICROSECOND, {instant}, UTC_TIMESTAMP(6)) / 1e6"


@compiles(seconds_since, "sqlite")
def _sqlite(element: seconds_since, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(julianday('now') - julianday({compiler.process(element.clauses, **kw)})) * 86400.0"


def columns_of(table: str) -> sa.TextClause:
    """A query without rows whose columns are the table's; it needs no right but SELECT."""
    return sa.text(f"SELECT * FROM {table} WHERE 1 = 0")  # noqa: S608 - our own two names


def scheduler_ages() -> sa.Select[Any]:
    """Seconds since the last heartbeat of each scheduler that should be running."""
    return sa.select(seconds_since(_job.c.latest_heartbeat)).where(
        _job.c.state == RUNNING, _job.c.job_type == SCHEDULER
    )


def load(schema: Schema, phantom_seconds: float) -> sa.Select[Any]:
    """(queue, executor, state, phantom, tasks, oldest wait) of all unfinished tasks, grouped."""
    by = (_task.c.queue, _executor(schema), _task.c.state, _phantom(schema, phantom_seconds))
    wait = sa.func.max(seconds_since(_task.c.queued_dttm)).label("wait")
    return _counted(schema, by, STATES).add_columns(wait)


def busy(schema: Schema, phantom_seconds: float) -> sa.Select[Any]:
    """(host, queue, executor, phantom, tasks) of all tasks that hold a slot, grouped."""
    by = (_task.c.hostname, _task.c.queue, _executor(schema), _phantom(schema, phantom_seconds))
    return _counted(schema, by, (RUNNING, RESTARTING))


def running(schema: Schema, most: int) -> sa.Select[Any]:
    """(host, queue, executor, DAG, task, seconds since its start) of tasks that hold a slot."""
    who = (_task.c.hostname, _task.c.queue, _executor(schema), _task.c.dag_id, _task.c.task_id)
    query = sa.select(*who, seconds_since(_task.c.start_date).label("age"))
    return query.where(_task.c.state.in_((RUNNING, RESTARTING))).limit(most)


def last_tries(dag: str, task: str, most: int) -> sa.Select[Any]:
    """(state, seconds) of a task in its last runs, found backwards through `ti_state_lkp`.

    Last by the run's name, which begins with its kind: a task's scheduled runs come before its manual ones.
    """
    query = sa.select(_task.c.state, _task.c.duration)
    query = query.where(_task.c.dag_id == dag, _task.c.task_id == task)
    return query.order_by(_task.c.run_id.desc()).limit(most)


def _counted(
    schema: Schema, by: tuple[sa.ColumnElement[Any], ...], states: tuple[str, ...]
) -> sa.Select[Any]:
    rows: sa.FromClause = _task
    if schema.generation is Generation.AIRFLOW_2:
        rows = _task.outerjoin(_job, _job.c.id == _task.c.job_id)
    # Grouped by position: the parameters inside an expression keep it from being recognised twice.
    positions = [sa.text(str(position + 1)) for position in range(len(by))]
    tasks = sa.func.count().label("tasks")
    query = sa.select(*by, tasks).select_from(rows)
    return query.where(_task.c.state.in_(states)).group_by(*positions)


def _executor(schema: Schema) -> sa.ColumnElement[Any]:
    column = _task.c.executor if schema.has_executor else sa.cast(sa.null(), sa.String(1))
    return column.label("executor")


def _phantom(schema: Schema, phantom_seconds: float) -> sa.ColumnElement[int]:
    """1: the task should be running, but what ran it has fallen silent; without a heartbeat to judge by, 0.

    Airflow 2 keeps the heartbeat in the task's job, and a job that has ended while its task has not is
    as dead as a silent one; Airflow 3 keeps it in the task, and writes it first when the task starts.
    """
    if schema.generation is Generation.AIRFLOW_3:
        beat = sa.func.coalesce(_task.c.last_heartbeat_at, _task.c.start_date)
        dead: sa.ColumnElement[bool] = seconds_since(beat) > phantom_seconds
    else:
        silent = seconds_since(_job.c.latest_heartbeat) > phantom_seconds
        dead = sa.or_(_job.c.state != RUNNING, silent)
    return sa.case((sa.and_(_task.c.state == RUNNING, dead), 1), else_=0).label("phantom")
