"""Replicas, poolers, and servers that fall silent."""

import anyio
import pytest

from autoscaler.sources.airflow_db import Timeouts, diagnose
from tests.servers.postgres import pgbouncer
from tests.sources.airflow_db.world import AirflowWorld, database_of, read_error

pytestmark = pytest.mark.anyio

QUICK = Timeouts(connect_seconds=10.0, statement_seconds=1.0)


async def test_a_hot_standby_is_refused(postgres_server, new_database):
    """It lags, and lagging looks like idle; a primary that only forbids writing is fine."""
    airflow = AirflowWorld(new_database("postgres"), "3")
    await airflow.create()
    await airflow.empty()
    await airflow.execute(f"ALTER DATABASE {database_of(airflow)} SET default_transaction_read_only = on")
    with postgres_server.standby() as standby:
        source = airflow.source(standby.url(database_of(airflow)))
        assert "read-only replica" in await read_error(source)
        wrong = [finding for finding in await diagnose(source) if not finding.ok]
        assert ["the writer endpoint" in finding.remedy for finding in wrong] == [True]
    source = airflow.source()
    assert (await source.target().demand()).schedulers == 1
    await source.aclose()


async def test_a_read_only_mariadb_is_refused(mariadb_server, new_database):
    """As replicas are."""
    airflow = AirflowWorld(new_database("mariadb"), "3")
    await airflow.create()
    await airflow.empty()
    source = airflow.source()
    await airflow.execute("SET GLOBAL read_only = 1")
    try:
        assert "read-only replica" in await read_error(source)
    finally:
        await airflow.execute("SET GLOBAL read_only = 0")
    assert (await source.target().demand()).schedulers == 1
    await source.aclose()


async def test_a_server_that_falls_silent_is_given_up(mariadb_server, new_database):
    """No time-out of its own helps then; ours does, and the next reading finds it back."""
    airflow = AirflowWorld(new_database("mariadb"), "3")
    await airflow.create()
    await airflow.empty()
    source = airflow.source(timeouts=QUICK)
    await source.snapshot()
    with mariadb_server.hanging():
        assert "no answer within 2 s while reading" in await read_error(source)
    assert (await source.target().demand()).schedulers == 1
    await source.aclose()


async def test_pgbouncer_in_transaction_mode_is_fine(postgres_server, new_database):
    """Two readers share two server connections: no statement and no setting is left on them."""
    airflow = AirflowWorld(new_database("postgres"), "3")
    await airflow.create()
    await airflow.empty()
    await airflow.tasks(2, "queued", silent=None)
    with pgbouncer(postgres_server, database_of(airflow)) as url:
        await airflow.scheduler()  # a fresh heartbeat, however long the pooler took to start
        sources = [airflow.source(url) for _ in range(4)]
        for _ in range(5):
            async with anyio.create_task_group() as group:
                for source in sources:
                    group.start_soon(source.snapshot)
        assert (await sources[0].target().demand()).queued == 2
        pooled = AirflowWorld(url, "3").engine
        async with pooled.connect() as connection:
            names = (await connection.exec_driver_sql("SELECT name FROM pg_prepared_statements")).all()
            timeout = (await connection.exec_driver_sql("SHOW statement_timeout")).scalar()
        for source in sources:
            await source.aclose()
    assert names == []
    assert timeout == "0"
