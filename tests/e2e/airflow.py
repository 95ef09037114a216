"""A real Airflow over a real PostgreSQL and a real Redis: everything but the workers."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import anyio
import asyncpg

from autoscaler.demo.children import Child, Children, DemoError
from autoscaler.demo.postgres import USER, installed_programs, running_postgres
from tests.e2e.broker import Broker, running_broker
from tests.e2e.ports import free_udp_port
from tests.e2e.waiting import until

HERE = Path(__file__).parent
GRANTS = HERE.parents[1] / "deploy" / "postgres-grants.sql"
BOOT_SECONDS = 240.0
POOLS = {"narrow": 2}
DAGS = 7


class Desk(Protocol):
    """Where runs are ordered."""

    async def ready(self) -> bool: ...

    async def prepare(self, pools: dict[str, int]) -> None: ...

    async def trigger(self, dag: str, run: str, conf: dict[str, object]) -> None: ...


class Release(Protocol):
    """What is one release's own."""

    version: str
    settings: Mapping[str, Mapping[str, object]]
    parts: Sequence[tuple[str, Sequence[str]]]

    def desk(self) -> AbstractAsyncContextManager[Desk]: ...


@dataclass
class Airflow:
    """A running Airflow; its workers are somebody else's."""

    database_url: str
    broker: Broker
    environment: Mapping[str, str]
    """Of every process of Airflow, the workers included."""
    statsd_port: int
    """Where it sends its metrics, whether anybody listens or not."""
    marks: Path
    """A folder for what the tasks write."""
    desk: Desk
    runs: list[str] = field(default_factory=list)
    """Ids of all runs that were triggered, in order; no two are the same."""

    async def trigger(self, *dags: str, **conf: object) -> None:
        """One run of each, with this configuration of the run."""
        for dag in dags:
            run = f"{dag}-{len(self.runs)}"
            self.runs.append(run)
            await self.desk.trigger(dag, run, conf)

    async def states(self) -> dict[str, int]:
        """How many task instances are in each state."""
        return {
            str(row["state"]): row["tasks"]
            for row in await self.query("SELECT state, count(*) AS tasks FROM task_instance GROUP BY state")
        }

    async def unfinished_runs(self) -> int:
        """How many DAG runs have not ended."""
        sql = "SELECT count(*) AS runs FROM dag_run WHERE state IN ('queued', 'running')"
        return int((await self.query(sql))[0]["runs"])

    async def dags(self) -> int:
        """How many DAGs Airflow has read."""
        return int((await self.query("SELECT count(*) AS dags FROM serialized_dag"))[0]["dags"])

    async def reader_url(self) -> str:
        """The URL of the user that `deploy/postgres-grants.sql` makes for the daemon."""
        psql = installed_programs() / "psql"
        command = [psql, "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", self.database_url, "--file", GRANTS]
        await anyio.run_process(command, env={"PATH": "/usr/bin:/bin"})
        return self.database_url.replace(f"//{USER}@", "//autoscaler@")

    async def query(self, sql: str) -> list[asyncpg.Record]:
        """Rows of the metadata database."""
        connection = await asyncpg.connect(self.database_url)
        try:
            return await connection.fetch(sql)
        finally:
            await connection.close()


@asynccontextmanager
async def running_airflow(
    children: Children, folder: Path, programs: Path, release: Release, slots_per_worker: int
) -> AsyncIterator[Airflow]:
    """Airflow, ready to take runs.  Raises `DemoError`."""
    async with AsyncExitStack() as stack:
        database_url = await stack.enter_async_context(running_postgres(children, folder / "db"))
        broker = await stack.enter_async_context(running_broker(children, folder / "broker"))
        statsd_port, marks = free_udp_port(), folder / "marks"
        await anyio.Path(marks).mkdir()
        alchemy_url = database_url.replace("://", "+psycopg2://")
        environment = {
            "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": str(HERE / "inside"),
            "HOSTNAME": "scheduler",
            "AIRFLOW_HOME": str(folder / "home"),
            "E2E_MARKS": str(marks),
            **_variables(release.settings),
            **_variables(_settings(folder, alchemy_url, broker.url, statsd_port, slots_per_worker)),
        }

        async def start(name: str, program: str, *arguments: str) -> Child:
            command = [programs / program, *arguments]
            log = folder / f"{name}.log"
            running = children.running(name, command, log, environment=environment)
            return await stack.enter_async_context(running)

        migration = await start("migration", "airflow", "db", "migrate")
        if await migration.wait():
            migration.require_alive()
        parts = [await start(name, *command) for name, command in release.parts]
        desk = await stack.enter_async_context(release.desk())
        airflow = Airflow(database_url, broker, environment, statsd_port, marks, desk)

        async def ready() -> bool:
            for part in parts:
                part.require_alive()
            return await desk.ready() and await airflow.dags() == DAGS

        if not await until(ready, BOOT_SECONDS):
            raise DemoError(f"Airflow was not ready within {BOOT_SECONDS:g} s: see {folder}")
        await desk.prepare(POOLS)
        yield airflow


def _settings(
    folder: Path, alchemy_url: str, broker_url: str, statsd_port: int, slots_per_worker: int
) -> dict[str, dict[str, object]]:
    """Of any Airflow: defaults, but for the places and for what would only take time."""
    return {
        "core": {
            "executor": "CeleryExecutor",
            "dags_folder": HERE / "dags",
            "load_examples": False,
            "dags_are_paused_at_creation": False,
            "parallelism": 64,
            "hostname_callable": "ecs_host.name",
        },
        "database": {"sql_alchemy_conn": alchemy_url},
        "celery": {
            "broker_url": broker_url,
            "result_backend": f"db+{alchemy_url}",
            "worker_concurrency": slots_per_worker,
            "sync_parallelism": 1,
        },
        "scheduler": {"parsing_processes": 1},
        "metrics": {"statsd_on": True, "statsd_host": "127.0.0.1", "statsd_port": statsd_port},
        "logging": {"base_log_folder": folder / "logs"},
        "usage_data_collection": {"enabled": False},
    }


def _variables(settings: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """As environment variables."""
    return {
        f"AIRFLOW__{section}__{key}".upper(): str(value)
        for section, values in settings.items()
        for key, value in values.items()
    }
