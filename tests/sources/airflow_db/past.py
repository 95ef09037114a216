"""A week of a small Airflow, written as Airflow writes it."""

import json
import uuid
import zlib
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

T0 = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
VERSION = uuid.UUID(int=7)
EDGES = {"start": ["left", "right"], "left": ["join"], "right": ["join"], "join": []}


def at(seconds):
    return None if seconds is None else T0 + timedelta(seconds=seconds)


def serialized(edges, generation, **more):
    """The document of a DAG: flat tasks in Airflow 2, wrapped ones in 3."""
    tasks = [
        {"task_id": task, "downstream_task_ids": below, **more.get(task, {})} for task, below in edges.items()
    ]
    if generation == 3:
        tasks = [{"__var": task, "__type": "operator"} for task in tasks]
    return {"__version": generation, "dag": {"tasks": tasks, "task_group": more.get("task_group", {})}}


async def add(airflow, table, **values):
    """A row, with what must not be empty; what this release has no column for is left out."""
    known = set(airflow.tables[table].c.keys()) - ({"executor"} if airflow.release == "2.5" else set())
    values = {name: value for name, value in values.items() if name in known}
    async with airflow.engine.begin() as connection:
        await connection.execute(sa.insert(airflow.tables[table]).values(**values))


async def forget(airflow):
    """An Airflow without a past."""
    async with airflow.engine.begin() as connection:
        for name in ("task_instance_history", "task_instance", "dag_run", "serialized_dag", "slot_pool"):
            await connection.execute(sa.delete(airflow.tables[name]))


async def dag(airflow, name, edges, *, compressed=False, document=None):
    generation = 3 if airflow.release == "3" else 2
    document = document or serialized(edges, generation)
    text = zlib.compress(json.dumps(document).encode()) if compressed else None
    await add(
        airflow,
        "serialized_dag",
        id=uuid.uuid4(),
        dag_id=name,
        data=sa.null() if compressed else document,
        data_compressed=text,
        dag_version_id=VERSION,
        created_at=T0,
        last_updated=T0,
        dag_hash="hash",
        fileloc="dags/x.py",
        fileloc_hash=1,
    )


async def run(airflow, name, run_id, begins, ends, run_type="manual", interval=None):
    await add(
        airflow,
        "dag_run",
        dag_id=name,
        run_id=run_id,
        run_type=run_type,
        state="success",
        queued_at=at(begins - 2),
        start_date=at(begins),
        end_date=at(ends),
        execution_date=at(begins),
        logical_date=at(begins),
        run_after=at(begins),
        data_interval_start=at(interval),
        data_interval_end=at(begins),
    )


async def task(airflow, name, run_id, task_id, times, *, past=False, **more):
    """`times`: queued, started, ended; None: it was not (yet)."""
    queued, started, ended = times
    values = {"map_index": -1, "try_number": 1, "state": "success", "queue": "default"} | more
    await add(
        airflow,
        "task_instance_history" if past else "task_instance",
        **{"id": uuid.uuid4()} if airflow.release == "3" else {},
        task_instance_id=uuid.uuid4(),
        dag_id=name,
        run_id=run_id,
        task_id=task_id,
        pool="default_pool",
        pool_slots=1,
        priority_weight=3,
        operator="BashOperator",
        queued_dttm=at(queued),
        scheduled_dttm=at(queued),
        start_date=at(started),
        end_date=at(ended),
        dag_version_id=VERSION,
        **values,
    )


async def small_week(airflow, *, compressed=False):
    """One run of a diamond under too few workers, with a failed first try; one run of an unknown DAG."""
    await forget(airflow)
    await add(airflow, "slot_pool", pool="default_pool", slots=128, include_deferred=False)
    await dag(airflow, "diamond", EDGES, compressed=compressed)
    await run(airflow, "diamond", "r;1", 0, 100, "scheduled", interval=-3600)
    await task(airflow, "diamond", "r;1", "start", (None, 1, 1))
    await task(airflow, "diamond", "r;1", "left", (2, 20, 30))
    await task(airflow, "diamond", "r;1", "right", (45, 50, 60), try_number=2)
    if airflow.release != "2.5":
        await task(airflow, "diamond", "r;1", "right", (2, 30, 35), past=True, state="failed")
    await task(airflow, "diamond", "r;1", "join", (61, 90, 100))
    await run(airflow, "gone", "r2", 40, 70)
    await task(airflow, "gone", "r2", "only", (41, 60, 70), queue="big")
    await task(airflow, "gone", "r2", "endless", (41, 60, None), state="running")
