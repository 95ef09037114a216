"""Plays Airflow's scheduler: its tables, its heartbeat, and the tasks that it queues.

The tasks run on `worker` processes, which take them from the table as Celery's would from a broker.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import anyio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from autoscaler.demo.airflow_tables import AIRFLOW_3
from autoscaler.demo.script import Arrival

HEARTBEAT_SECONDS = 2.0
DAG, RUN, QUEUE, POOL = "demo", "burst", "default", "default_pool"

_job, _dag, _dag_run, _pool, _task = (
    AIRFLOW_3.tables[name] for name in ("job", "dag", "dag_run", "slot_pool", "task_instance")
)


@dataclass(frozen=True, slots=True)
class Load:
    """The task instances at one instant."""

    queued: int = 0
    running: int = 0
    finished: int = 0
    busy_slots: Mapping[str, int] = field(default_factory=dict)
    """Running tasks by host name."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one task."""

    done: bool
    """It ran to its end, once."""
    wait_seconds: float | None
    """From queued to started; None: it never started."""


class Airflow:
    """The metadata database as a scheduler keeps it; made by `playing_airflow`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._queued = 0

    async def prepare(self) -> None:
        """Tables, a living scheduler, a DAG run without tasks."""
        now = datetime.now(UTC)
        async with self._engine.begin() as connection:
            await connection.run_sync(AIRFLOW_3.create_all)
            rows = (
                (_job, _scheduler(now)),
                (_pool, _default_pool()),
                (_dag, _a_dag()),
                (_dag_run, _run(now)),
            )
            for table, row in rows:
                await connection.execute(sa.insert(table).values(row))

    async def beat_for_ever(self) -> None:
        """Keeps the scheduler's heartbeat fresh by the database's clock."""
        beat = sa.update(_job).where(_job.c.job_type == "SchedulerJob").values(latest_heartbeat=sa.func.now())
        while True:
            async with self._engine.begin() as connection:
                await connection.execute(beat)
            await anyio.sleep(HEARTBEAT_SECONDS)

    async def queue(self, arrivals: Sequence[Arrival]) -> None:
        """These tasks wait for a worker from now on."""
        now = datetime.now(UTC)
        rows = [_task_row(self._queued + number, arrival, now) for number, arrival in enumerate(arrivals)]
        self._queued += len(rows)
        async with self._engine.begin() as connection:
            await connection.execute(sa.insert(_task), rows)

    async def load(self) -> Load:
        """What waits, runs and has finished."""
        tasks = sa.func.count()
        query = sa.select(_task.c.state, _task.c.hostname, tasks).group_by(_task.c.state, _task.c.hostname)
        async with self._engine.begin() as connection:
            rows = [tuple(row) for row in await connection.execute(query)]
        by_state = {state: sum(n for each, _, n in rows if each == state) for state, _, _ in rows}
        return Load(
            queued=by_state.get("queued", 0),
            running=by_state.get("running", 0),
            finished=by_state.get("success", 0),
            busy_slots={host: n for state, host, n in rows if state == "running"},
        )

    async def fates(self) -> list[Fate]:
        """What became of every task, in the order they were queued."""
        wait = sa.extract("epoch", _task.c.start_date - _task.c.queued_dttm)
        query = sa.select(_task.c.state, wait).order_by(_task.c.priority_weight)
        async with self._engine.begin() as connection:
            rows = [tuple(row) for row in await connection.execute(query)]
        return [Fate(state == "success", None if wait is None else float(wait)) for state, wait in rows]


@asynccontextmanager
async def playing_airflow(url: str) -> AsyncIterator[Airflow]:
    """Airflow over an empty PostgreSQL database; its scheduler lives as long as the context."""
    engine = create_async_engine(sa.make_url(url).set(drivername="postgresql+asyncpg"), pool_size=3)
    try:
        airflow = Airflow(engine)
        await airflow.prepare()
        async with anyio.create_task_group() as group:
            group.start_soon(airflow.beat_for_ever)
            yield airflow
            group.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await engine.dispose()


def _scheduler(now: datetime) -> dict[str, Any]:
    return {
        "job_type": "SchedulerJob",
        "state": "running",
        "start_date": now,
        "latest_heartbeat": now,
        "executor_class": "CeleryExecutor",
        "hostname": "scheduler",
    }


def _default_pool() -> dict[str, Any]:
    return {"pool": POOL, "slots": -1, "include_deferred": False}


def _a_dag() -> dict[str, Any]:
    return {
        "dag_id": DAG,
        "is_paused": False,
        "is_stale": False,
        "max_active_tasks": 1000,
        "max_consecutive_failed_dag_runs": 0,
        "has_task_concurrency_limits": False,
        "bundle_name": "demo",
        "timetable_type": "NullTimetable",
        "partition_mapper_info": {},
    }


def _run(now: datetime) -> dict[str, Any]:
    return {
        "dag_id": DAG,
        "run_id": RUN,
        "run_type": "manual",
        "state": "running",
        "queued_at": now,
        "start_date": now,
        "run_after": now,
    }


def _task_row(number: int, arrival: Arrival, now: datetime) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "dag_id": DAG,
        "task_id": f"task_{number:04d}",
        "run_id": RUN,
        "map_index": -1,
        "try_number": 1,
        "max_tries": 0,
        "state": "queued",
        "queued_dttm": now,
        "queue": QUEUE,
        "pool": POOL,
        "pool_slots": 1,
        "priority_weight": number,
        "operator": "SleepOperator",
        "executor_config": json.dumps({"seconds": arrival.seconds}).encode(),
    }
