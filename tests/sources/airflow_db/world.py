"""Airflow databases for the tests: real servers, real tables, rows as Airflow writes them."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

import anyio
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from autoscaler.demo.airflow_tables import AIRFLOW_2, AIRFLOW_3
from autoscaler.ports import SourceError
from autoscaler.sources.airflow_db import AirflowDatabase, fixed
from autoscaler.sources.airflow_db.address import parse

OUR_CLOCK = 1_000.0  # nothing like the databases' clocks: ages must not depend on it
TABLES = {"2.5": AIRFLOW_2, "2.11": AIRFLOW_2, "3": AIRFLOW_3}


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)  # noqa: TID251 - a database's clock is real  # noqa: TID251 - rows are written in the present


def engine_of(url: str) -> AsyncEngine:
    """A writing engine, as Airflow has one."""
    address = parse(url)
    link = address.url.set(query={})
    if address.backend == "sqlite":
        link = link.set(database=address.place.removeprefix("sqlite:///"))
    engine = create_async_engine(link, connect_args=dict(address.connect_args), poolclass=NullPool)
    if address.backend == "mysql":
        sa.event.listen(engine.sync_engine, "connect", _utc)
    return engine


def _utc(connection, _record) -> None:
    cursor = connection.cursor()
    cursor.execute("SET time_zone = '+00:00'")  # as Airflow does
    cursor.close()


@dataclass
class AirflowWorld:
    """One Airflow: its database, and what its schedulers and workers write there."""

    url: str
    release: str
    engine: AsyncEngine = field(init=False)
    numbers: count = field(default_factory=count)

    def __post_init__(self) -> None:
        self.engine = engine_of(self.url)

    @property
    def tables(self) -> dict[str, sa.Table]:
        return TABLES[self.release].tables

    def build(self) -> "AirflowWorld":
        """All tables, once; release 2.5 has no executor column yet."""
        anyio.run(self.create)
        return self

    async def create(self) -> None:
        async with self.engine.begin() as connection:
            await connection.run_sync(TABLES[self.release].create_all)
            if self.release == "2.5":
                await connection.execute(sa.text("ALTER TABLE task_instance DROP COLUMN executor"))

    async def empty(self) -> None:
        """No rows but one DAG run, and one living scheduler."""
        async with self.engine.begin() as connection:
            for name in ("task_instance", "dag_run", "job"):
                await connection.execute(sa.delete(self.tables[name]))
            run = {"dag_id": "dag", "run_id": "run", "run_type": "manual"}
            run["execution_date" if self.release != "3" else "run_after"] = ago(60)
            await connection.execute(sa.insert(self.tables["dag_run"]), [run])
        await self.scheduler()

    async def scheduler(self, heartbeat_ago: float = 2.0, state: str = "running") -> None:
        await self.insert("job", state=state, job_type="SchedulerJob", latest_heartbeat=ago(heartbeat_ago))

    async def no_schedulers(self) -> None:
        await self.execute("DELETE FROM job WHERE job_type = 'SchedulerJob'")

    async def tasks(
        self,
        number: int,
        state: str,
        *,
        queue: str | None = "default",
        executor: str | None = None,
        host: str = "",
        waited: float | None = 1.0,
        silent: float | None = 2.0,
        job_state: str = "running",
    ) -> None:
        """`silent`: seconds since the last heartbeat of what runs them; None: there was never one."""
        rows = [
            {
                "task_id": f"task-{next(self.numbers)}",
                "dag_id": "dag",
                "run_id": "run",
                "pool": "default_pool",
                "pool_slots": 1,
                "try_number": 1,
                "state": state,
                "queue": queue,
                "hostname": host,
                "queued_dttm": None if waited is None else ago(waited),
                "start_date": ago(silent) if silent is not None and state == "running" else None,
                "updated_at": ago(0),
            }
            for _ in range(number)
        ]
        if self.release != "2.5":
            for row in rows:
                row["executor"] = executor
        for row in rows:
            await self._give_heartbeat(row, silent, job_state)
        async with self.engine.begin() as connection:
            await connection.execute(sa.insert(self.tables["task_instance"]), rows)

    async def _give_heartbeat(self, row: dict[str, object], silent: float | None, job_state: str) -> None:
        beat = None if silent is None else ago(silent)
        if self.release == "3":
            row["id"], row["last_heartbeat_at"] = uuid.uuid4(), beat
        elif beat is not None and row["state"] in {"running", "restarting"}:
            row["job_id"] = await self.insert(
                "job", state=job_state, job_type="LocalTaskJob", latest_heartbeat=beat
            )

    async def insert(self, table: str, **values: object) -> int:
        async with self.engine.begin() as connection:
            result = await connection.execute(sa.insert(self.tables[table]).values(**values))
            return result.inserted_primary_key[0]

    async def execute(self, *statements: str) -> None:
        async with self.engine.begin() as connection:
            for statement in statements:
                await connection.exec_driver_sql(statement)

    def source(self, url: str | None = None, **options: object) -> AirflowDatabase:
        options.setdefault("max_age_seconds", 0.0)
        options.setdefault("settle_seconds", 0.0)
        credentials = options.pop("credentials", None) or fixed(url or self.url)
        return AirflowDatabase(credentials, lambda: OUR_CLOCK, **options)


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Waits for a real server, not for a time."""
    with anyio.fail_after(seconds):
        while not await holds():  # noqa: ASYNC110 - a server tells nobody
            await anyio.sleep(0.05)


def database_of(airflow):
    return sa.make_url(airflow.url).database


async def read_error(source):
    with pytest.raises(SourceError) as raised:
        await source.target().demand()
    return str(raised.value)
