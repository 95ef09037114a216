"""The tables of Airflow's metadata database that matter to a worker fleet, for PostgreSQL, MySQL, SQLite.

`AIRFLOW_2` restates those of release 2.11 and `AIRFLOW_3` those of release 3.3: every column, key and
index, since fewer indexes or rows than production would flatter every query.  Foreign keys into
tables that are not here are left out.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from autoscaler.demo.airflow_columns import (
    IDENTIFIER,
    JSONB,
    Columns,
    columns,
    flag,
    identifiers,
    integers,
    key,
    number,
    texts,
    times,
    tracing,
)


def _job(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        "job",
        metadata,
        key(sa.Integer()),
        *columns(IDENTIFIER, "dag_id"),
        *texts(20, "state"),
        *texts(30, "job_type"),
        *times("start_date", "end_date", "latest_heartbeat"),
        *texts(500, "executor_class", "hostname"),
        *texts(1000, "unixname"),
        sa.Index("idx_job_dag_id", "dag_id"),
        sa.Index("idx_job_state_heartbeat", "state", "latest_heartbeat"),
        sa.Index("job_type_heart", "job_type", "latest_heartbeat"),
    )


def _slot_pool(metadata: sa.MetaData, *more: sa.Column[Any], slots_nullable: bool) -> sa.Table:
    return sa.Table(
        "slot_pool",
        metadata,
        key(sa.Integer()),
        *texts(256, "pool"),
        *integers("slots", nullable=slots_nullable),
        sa.Column("description", sa.Text()),
        sa.Column("include_deferred", sa.Boolean(), nullable=False),
        *more,
        sa.UniqueConstraint("pool", name="slot_pool_pool_uq"),
    )


def _dag_run(metadata: sa.MetaData, date: str, *more: sa.Column[Any] | sa.Index) -> sa.Table:
    return sa.Table(
        "dag_run",
        metadata,
        key(sa.Integer()),
        *identifiers("dag_id", "run_id"),
        *times("queued_at", "start_date", "end_date", "data_interval_start", "data_interval_end"),
        *times("last_scheduling_decision", "updated_at"),
        *texts(50, "state"),
        *texts(50, "run_type", nullable=False),
        *integers("creating_job_id", "log_template_id"),
        number("clear_number", "0"),
        *more,
        sa.UniqueConstraint("dag_id", "run_id", name="dag_run_dag_id_run_id_key"),
        sa.UniqueConstraint("dag_id", date, name=f"dag_run_dag_id_{date}_key"),
        sa.Index("dag_id_state", "dag_id", "state"),
        sa.Index("idx_dag_run_dag_id", "dag_id"),
        *(_dag_runs_that_are(state) for state in ("queued", "running")),
    )


def _dag_runs_that_are(state: str) -> sa.Index:
    where = sa.text(f"state = '{state}'")
    name = f"idx_dag_run_{state}_dags"
    return sa.Index(name, "state", "dag_id", postgresql_where=where, sqlite_where=where)


def _try_columns(json: sa.types.TypeEngine[Any]) -> Columns:
    """What a task instance and a past try of it have in common in both generations."""
    return [
        *times("start_date", "end_date", "queued_dttm", "updated_at"),
        sa.Column("duration", sa.Float()),
        *texts(20, "state"),
        *texts(1000, "hostname", "unixname", "operator", "custom_operator_name", "executor", "next_method"),
        *texts(2000, "task_display_name"),
        *texts(256, "pool", nullable=False),
        *texts(256, "queue"),
        *texts(250, "rendered_map_index"),
        *integers("pool_slots", nullable=False),
        *integers("priority_weight", "queued_by_job_id", "pid", "trigger_id"),
        sa.Column("executor_config", sa.LargeBinary()),
        sa.Column("next_kwargs", json),
    ]


def _attempt(generation: int) -> Columns:
    if generation == 2:
        return [*integers("job_id"), *texts(250, "external_executor_id")]
    return [
        *times("scheduled_dttm"),
        *tracing(),
        sa.Column("external_executor_id", sa.Text()),
        sa.Column("dag_version_id", sa.Uuid()),
        sa.Column("retry_delay_override", sa.Float()),
        *texts(500, "retry_reason"),
    ]


_TASK = ("dag_id", "task_id", "run_id", "map_index")


def _task_instance(metadata: sa.MetaData, generation: int) -> sa.Table:
    own: list[sa.schema.SchemaItem] = [
        *identifiers(*_TASK[:3]),
        number("map_index", "-1"),
        number("max_tries", "-1", nullable=generation == 2),
        *integers("try_number", nullable=generation == 2),
    ]
    if generation == 2:
        own += [
            sa.Column("trigger_timeout", sa.DateTime()),
            sa.PrimaryKeyConstraint(*_TASK, name="task_instance_pkey"),
            sa.Index("ti_job_id", "job_id"),
        ]
    else:
        own += [
            key(sa.Uuid()),
            *times("last_heartbeat_at", "trigger_timeout"),
            sa.UniqueConstraint(*_TASK, name="task_instance_composite_key"),
            sa.Index("ti_dag_version_id", "dag_version_id"),
            sa.Index("ti_heartbeat", "last_heartbeat_at"),
        ]
    return sa.Table(
        "task_instance",
        metadata,
        *_try_columns(sa.JSON() if generation == 2 else JSONB),
        *_attempt(generation),
        *own,
        sa.ForeignKeyConstraint(
            ("dag_id", "run_id"),
            ("dag_run.dag_id", "dag_run.run_id"),
            name="task_instance_dag_run_fkey",
            ondelete="CASCADE",
        ),
        sa.Index("ti_dag_run", "dag_id", "run_id"),
        sa.Index("ti_dag_state", "dag_id", "state"),
        sa.Index("ti_pool", "pool", "state", "priority_weight"),
        sa.Index("ti_state", "state"),
        sa.Index("ti_state_lkp", "dag_id", "task_id", "run_id", "state"),
        sa.Index("ti_trigger_id", "trigger_id"),
    )


def _task_instance_history(metadata: sa.MetaData, generation: int) -> sa.Table:
    own_key = key(sa.Integer()) if generation == 2 else key(sa.Uuid(), "task_instance_id")
    more = () if generation == 2 else (sa.Index("idx_tih_dag_run", "dag_id", "run_id"),)
    return sa.Table(
        "task_instance_history",
        metadata,
        own_key,
        *identifiers(*_TASK[:3]),
        number("map_index", "-1"),
        number("max_tries", "-1", nullable=True),
        *integers("try_number", nullable=False),
        sa.Column("trigger_timeout", sa.DateTime()),
        *_try_columns(sa.JSON() if generation == 2 else JSONB),
        *_attempt(generation),
        sa.ForeignKeyConstraint(
            _TASK,
            [f"task_instance.{name}" for name in _TASK],
            name="task_instance_history_ti_fkey",
            ondelete="CASCADE",
            onupdate="CASCADE",
        ),
        sa.UniqueConstraint(*_TASK, "try_number", name="task_instance_history_dtrt_uq"),
        *more,
    )


def _dag(metadata: sa.MetaData, *more: sa.schema.SchemaItem) -> sa.Table:
    return sa.Table(
        "dag",
        metadata,
        key(IDENTIFIER, "dag_id"),
        *times("last_parsed_time", "last_expired", "next_dagrun", "next_dagrun_create_after"),
        *times("next_dagrun_data_interval_start", "next_dagrun_data_interval_end"),
        *texts(2000, "fileloc", "owners", "dag_display_name"),
        sa.Column("description", sa.Text()),
        *texts(1000, "timetable_description"),
        *integers("max_active_tasks", "max_consecutive_failed_dag_runs", nullable=False),
        *integers("max_active_runs"),
        sa.Column("has_task_concurrency_limits", sa.Boolean(), nullable=False),
        sa.Column("has_import_errors", sa.Boolean(), server_default=sa.false()),
        *more,
        sa.Index("idx_next_dagrun_create_after", "next_dagrun_create_after"),
    )


def _airflow_2() -> sa.MetaData:
    metadata = sa.MetaData()
    _job(metadata)
    _slot_pool(metadata, slots_nullable=True)
    _dag(
        metadata,
        *columns(IDENTIFIER, "root_dag_id"),
        *columns(sa.Boolean(), "is_paused", "is_subdag", "is_active", "scheduler_lock"),
        *times("last_pickled"),
        *integers("pickle_id"),
        *texts(2000, "processor_subdir"),
        *texts(25, "default_view"),
        sa.Column("schedule_interval", sa.Text()),
        sa.Column("dataset_expression", sa.JSON()),
        sa.Index("idx_root_dag_id", "root_dag_id"),
    )
    _dag_run(
        metadata,
        "execution_date",
        *times("execution_date", nullable=False),
        sa.Column("external_trigger", sa.Boolean()),
        sa.Column("conf", sa.LargeBinary()),
        *texts(32, "dag_hash"),
    )
    sa.Table(
        "serialized_dag",
        metadata,
        key(IDENTIFIER, "dag_id"),
        *texts(2000, "fileloc", nullable=False),
        sa.Column("fileloc_hash", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.JSON()),
        sa.Column("data_compressed", sa.LargeBinary()),
        *times("last_updated", nullable=False),
        *texts(32, "dag_hash", nullable=False),
        *texts(2000, "processor_subdir"),
        sa.Index("idx_fileloc_hash", "fileloc_hash"),
    )
    _task_instance(metadata, 2)
    _task_instance_history(metadata, 2)
    return metadata


def _airflow_3() -> sa.MetaData:
    metadata = sa.MetaData()
    _job(metadata)
    _slot_pool(metadata, *texts(50, "team_name"), slots_nullable=False)
    _dag(
        metadata,
        *columns(sa.Boolean(), "is_paused", "is_stale", nullable=False),
        *map(flag, ("exceeds_max_non_backfill", "timetable_partitioned", "timetable_periodic", "fail_fast")),
        sa.Column("last_parse_duration", sa.Float()),
        *texts(2000, "relative_fileloc"),
        *texts(250, "bundle_name", nullable=False),
        *texts(200, "bundle_version"),
        *texts(255, "timetable_type", nullable=False),
        sa.Column("timetable_summary", sa.Text()),
        sa.Column("partition_mapper_info", sa.JSON(), nullable=False),
        *columns(sa.JSON(), "asset_expression", "deadline", "allowed_run_types"),
        *texts(255, "next_dagrun_partition_key"),
        *times("next_dagrun_partition_date"),
    )
    _dag_run(
        metadata,
        "logical_date",
        *times("logical_date", "created_at", "partition_date"),
        *times("run_after", nullable=False),
        *texts(50, "triggered_by"),
        *texts(512, "triggering_user_name"),
        sa.Column("conf", JSONB),
        *integers("backfill_id", "scheduled_by_job_id"),
        *texts(250, "bundle_version", "partition_key"),
        *tracing(),
        sa.Column("created_dag_version_id", sa.Uuid()),
        sa.Index("idx_dag_run_created_dag_version_id", "created_dag_version_id"),
        sa.Index("idx_dag_run_run_after", "run_after"),
    )
    sa.Table(
        "serialized_dag",
        metadata,
        key(sa.Uuid()),
        *identifiers("dag_id"),
        sa.Column("data", JSONB),
        sa.Column("data_compressed", sa.LargeBinary()),
        *times("created_at", "last_updated", nullable=False),
        *texts(32, "dag_hash", nullable=False),
        sa.Column("dag_version_id", sa.Uuid(), nullable=False),
        sa.UniqueConstraint("dag_version_id", name="serialized_dag_dag_version_id_uq"),
    )
    _task_instance(metadata, 3)
    _task_instance_history(metadata, 3)
    return metadata


AIRFLOW_2 = _airflow_2()
AIRFLOW_3 = _airflow_3()
