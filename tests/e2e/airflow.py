"""A real Airflow: its scheduler, its DAG processor, its API, over a real PostgreSQL and a real Redis."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import asyncpg
import httpx

from autoscaler.demo.children import Children, DemoError
from autoscaler.demo.postgres import USER, installed_programs, running_postgres
from tests.e2e.broker import Broker, running_broker
from tests.e2e.ports import free_tcp_port, free_udp_port
from tests.e2e.waiting import until

HERE = Path(__file__).parent
GRANTS = HERE.parents[1] / "deploy" / "postgres-grants.sql"
BOOT_SECONDS = 240.0
POOLS = {"narrow": 2}


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
    client: httpx.AsyncClient
    runs: list[str] = field(default_factory=list)
    """Ids of all runs that were triggered, in order; no two are the same."""

    async def trigger(self, *dags: str, **conf: object) -> None:
        """One run of each, with this configuration of the run."""
        for dag in dags:
            run = f"{dag}-{len(self.runs)}"
            self.runs.append(run)
            answer = await self.client.post(
                f"/api/v2/dags/{dag}/dagRuns",
                json={"dag_run_id": run, "logical_date": None, "conf": conf},
            )
            answer.raise_for_status()

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
    children: Children, folder: Path, programs: Path, slots_per_worker: int
) -> AsyncIterator[Airflow]:
    """Airflow 3, ready to take runs.  Raises `DemoError`."""
    async with AsyncExitStack() as stack:
        database_url = await stack.enter_async_context(running_postgres(children, folder / "db"))
        broker = await stack.enter_async_context(running_broker(children, folder / "broker"))
        port, statsd_port, marks = free_tcp_port(), free_udp_port(), folder / "marks"
        marks.mkdir()
        environment = {
            **_environment(folder, programs, port, statsd_port),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url.replace("://", "+psycopg2://"),
            "AIRFLOW__CELERY__BROKER_URL": broker.url,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database_url.replace('://', '+psycopg2://')}",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(slots_per_worker),
            "E2E_MARKS": str(marks),
        }

        async def start(name: str, *arguments: str):
            log = folder / f"{name}.log"
            command = [programs / "airflow", *arguments]
            running = children.running(name, command, log, environment=environment)
            return await stack.enter_async_context(running)

        migration = await start("migration", "db", "migrate")
        if await migration.wait():
            migration.require_alive()
        parts = [await start(name, name) for name in ("api-server", "scheduler", "dag-processor")]
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30)
        )
        airflow = Airflow(database_url, broker, environment, statsd_port, marks, client)

        async def ready() -> bool:
            for part in parts:
                part.require_alive()
            return await _healthy(client)

        if not (await until(ready, BOOT_SECONDS) and await _prepared(client)):
            raise DemoError(f"Airflow was not ready within {BOOT_SECONDS:g} s: see {folder}")
        yield airflow


def _environment(folder: Path, programs: Path, port: int, statsd_port: int) -> dict[str, str]:
    settings = {
        "core": {
            "executor": "CeleryExecutor",
            "dags_folder": HERE / "dags",
            "load_examples": False,
            "dags_are_paused_at_creation": False,
            "parallelism": 64,
            "hostname_callable": "ecs_host.name",
            "execution_api_server_url": f"http://127.0.0.1:{port}/execution/",
            "simple_auth_manager_all_admins": True,
            "internal_api_secret_key": secrets.token_hex(32),
        },
        "api": {"host": "127.0.0.1", "port": port, "workers": 1, "secret_key": secrets.token_hex(32)},
        "api_auth": {"jwt_secret": secrets.token_hex(64)},
        "workers": {"min_heartbeat_interval": 1},
        "scheduler": {"parsing_processes": 1},
        "dag_processor": {"parsing_processes": 1},
        "celery": {"sync_parallelism": 1},
        "metrics": {"statsd_on": True, "statsd_host": "127.0.0.1", "statsd_port": statsd_port},
        "logging": {"base_log_folder": folder / "logs"},
        "usage_data_collection": {"enabled": False},
    }
    return {
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(HERE / "inside"),
        "AIRFLOW_HOME": str(folder / "home"),
        "HOSTNAME": "scheduler",
    } | {
        f"AIRFLOW__{section}__{key}".upper(): str(value)
        for section, values in settings.items()
        for key, value in values.items()
    }


async def _healthy(client: httpx.AsyncClient) -> bool:
    try:
        health = (await client.get("/api/v2/monitor/health")).json()
    except (httpx.TransportError, ValueError):
        return False
    return all(health[part]["status"] == "healthy" for part in ("scheduler", "dag_processor"))


async def _prepared(client: httpx.AsyncClient) -> bool:
    """Whether the pools are made and the DAGs were found."""
    token = (await client.get("/auth/token")).json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    for pool, slots in POOLS.items():
        answer = await client.post("/api/v2/pools", json={"name": pool, "slots": slots})
        answer.raise_for_status()

    async def found() -> bool:
        return bool((await client.get("/api/v2/dags")).json()["total_entries"])

    return await until(found, BOOT_SECONDS)
