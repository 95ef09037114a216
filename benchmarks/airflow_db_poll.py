"""How long a poll takes on a database with a past: 2 M task instances, nearly all finished.

    python benchmarks/airflow_db_poll.py [--tasks 2000000] [--polls 200] [--release 3]

How long running tasks are expected to go on, which `removal.mode = "gather"` asks for, has a row of its own.
Starts a PostgreSQL of its own, with Airflow's real tables and indexes, and polls it twice: without
the planner's statistics, as after a restore, and with them.  MariaDB and SQLite follow with a
twentieth of the rows.  Exits 1 if a median is above 50 ms.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parents[1]))

from autoscaler.sources.airflow_db.work_left import MOST_TASKS_A_LOOK
from tests.servers.mariadb import mariadb
from tests.servers.postgres import postgres
from tests.sources.airflow_db.world import TABLES, AirflowWorld

BUDGET_MILLISECONDS = 50.0
QUEUED, RUNNING, SCHEDULED = 1_200, 800, 300
QUEUES = ("default", "small", "large", "gpu")
HOSTS = 50

_COLUMNS = (
    "task_id, dag_id, run_id, map_index, pool, pool_slots, try_number, state, queue, hostname, "
    "queued_dttm, start_date, priority_weight, operator, updated_at"
)


def _numbers(backend: str, count: int) -> str:
    if backend == "postgresql":
        return f"(SELECT generate_series(1, {count}) AS n) AS numbers"
    if backend == "mysql":
        return f"(SELECT seq AS n FROM seq_1_to_{count}) AS numbers"
    return f"(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s LIMIT {count}) SELECT n FROM s)"


def _finished(backend: str, release: str, count: int) -> str:
    """One INSERT: finished tasks of 200 DAGs with all that the indexes hold."""
    text = {"mysql": "CONCAT('{}', {})"}.get(backend, "'{}' || {}")
    modulo = "MOD(n, {})" if backend == "mysql" else "(n % {})"
    now = {"postgresql": "now()", "mysql": "UTC_TIMESTAMP(6)"}.get(backend, "datetime('now')")
    more = ", job_id", ", n"
    if release == "3":
        unique = {"postgresql": "gen_random_uuid()", "mysql": "LPAD(HEX(n), 32, '0')"}
        more = ", id, last_heartbeat_at", f", {unique.get(backend, 'lower(hex(randomblob(16)))')}, {now}"
    return (
        f"INSERT INTO task_instance ({_COLUMNS}{more[0]}) SELECT "
        f"{text.format('task-', 'n')}, {text.format('dag-', modulo.format(200))}, 'run', -1, "
        f"'default_pool', 1, 1, CASE WHEN {modulo.format(50)} = 0 THEN 'failed' ELSE 'success' END, "
        f"'default', {text.format('host-', modulo.format(50))}, {now}, {now}, 1, 'BashOperator', {now}"
        f"{more[1]} FROM {_numbers(backend, count)}"
    )


def _finished_jobs(backend: str, count: int) -> str:
    """In Airflow 2 every task try leaves a job behind."""
    now = {"postgresql": "now()", "mysql": "UTC_TIMESTAMP(6)"}.get(backend, "datetime('now')")
    return (
        "INSERT INTO job (id, state, job_type, latest_heartbeat) "
        f"SELECT n, 'success', 'LocalTaskJob', {now} FROM {_numbers(backend, count)}"
    )


async def build(world: AirflowWorld, count: int) -> None:
    """Airflow's tables without foreign keys, so that the past needs no DAG runs."""
    backend = world.engine.dialect.name
    metadata = TABLES[world.release]
    async with world.engine.begin() as connection:
        names = [metadata.tables[name] for name in ("job", "dag_run", "task_instance")]
        await connection.run_sync(metadata.create_all, tables=names)
        if backend == "postgresql":
            await connection.exec_driver_sql(
                "ALTER TABLE task_instance DROP CONSTRAINT task_instance_dag_run_fkey"
            )
            await connection.exec_driver_sql("ALTER TABLE task_instance SET (autovacuum_enabled = off)")
        if backend == "mysql":
            await connection.exec_driver_sql("SET foreign_key_checks = 0")
        await connection.exec_driver_sql(_finished(backend, world.release, count))
        if world.release != "3":
            await connection.exec_driver_sql(_finished_jobs(backend, count))
            if backend == "postgresql":
                await connection.exec_driver_sql(f"SELECT setval('job_id_seq', {count})")
    async with world.engine.begin() as connection:
        run = {"dag_id": "dag", "run_id": "run", "run_type": "manual"}
        run["run_after" if world.release == "3" else "execution_date"] = sa.func.now()
        await connection.execute(sa.insert(metadata.tables["dag_run"]).values(run))
    await world.scheduler()
    for queue in QUEUES:
        await world.tasks(QUEUED // len(QUEUES), "queued", queue=queue, silent=None)
        await world.tasks(SCHEDULED // len(QUEUES), "scheduled", queue=queue, silent=None)
    for host in range(HOSTS):
        await world.tasks(RUNNING // HOSTS, "running", host=f"host-{host}")


async def poll(world: AirflowWorld, polls: int, label: str) -> bool:
    """Prints a row; whether it is within the budget."""
    source = world.source()
    started = time.perf_counter()
    snapshot = await source.snapshot()
    first = (time.perf_counter() - started) * 1e3
    demand = snapshot.demand()
    assert (demand.queued, demand.running) == (QUEUED, RUNNING), demand
    within = await timed(source.snapshot, polls, f"{label:<52} first {first:6.1f} ms")
    # Every running task is another one here, so each look reads as many tasks' pasts as a look may.
    looks = min(polls, RUNNING // MOST_TASKS_A_LOOK)
    within &= await timed(source.work_left, looks, f"{'  work left, beside it':<52}{' ':16}")
    await source.aclose()
    return within


async def timed(ask: Callable[[], Awaitable[object]], times: int, label: str) -> bool:
    """Prints a row; whether it is within the budget."""
    took = []
    for _ in range(times):
        started = time.perf_counter()
        assert await ask()
        took.append((time.perf_counter() - started) * 1e3)
    median, p95 = statistics.median(took), statistics.quantiles(took, n=20)[-1]
    print(f"{label}   median {median:6.2f} ms   p95 {p95:6.2f} ms", flush=True)
    return median <= BUDGET_MILLISECONDS


async def main(tasks: int, polls: int, release: str) -> int:
    print(f"budget: median {BUDGET_MILLISECONDS:g} ms; {QUEUED} queued, {RUNNING} running, Airflow {release}")
    within = []
    with postgres() as server:
        world = AirflowWorld(server.url(), release)
        await build(world, tasks)
        rows = f"{tasks:,} task instances"
        within.append(await poll(world, polls, f"PostgreSQL, {rows}, never analysed"))
        async with world.engine.begin() as connection:
            await connection.exec_driver_sql("ANALYZE")
        within.append(await poll(world, polls, f"PostgreSQL, {rows}, analysed"))
    rows = f"{tasks // 20:,} task instances"
    with mariadb() as server:
        async with AirflowWorld(server.url(), release).engine.begin() as connection:
            await connection.exec_driver_sql("CREATE DATABASE airflow")
        world = AirflowWorld(server.url("airflow"), release)
        await build(world, tasks // 20)
        within.append(await poll(world, polls, f"MariaDB, {rows}"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "airflow.db"
        path.touch()
        world = AirflowWorld(f"sqlite:///{path}", release)
        await build(world, tasks // 20)
        within.append(await poll(world, polls, f"SQLite, {rows}"))
    return 0 if all(within) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tasks", type=int, default=2_000_000)
    parser.add_argument("--polls", type=int, default=200)
    parser.add_argument("--release", choices=sorted(TABLES), default="3")
    arguments = parser.parse_args()
    sys.exit(anyio.run(partial(main, arguments.tasks, arguments.polls, arguments.release)))
