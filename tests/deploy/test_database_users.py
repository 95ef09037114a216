"""The scripts make a user who can do the daemon's work and nothing else, on real servers."""

import re
import subprocess
from urllib.parse import quote

import anyio
import pytest
import sqlalchemy as sa

from autoscaler.lease.database import DatabaseLease
from autoscaler.ports import Leads, SourceError, StandsBy
from autoscaler.sources.airflow_db import AirflowDatabase, diagnose, fixed
from autoscaler.sources.airflow_db.diagnosis import TABLES
from tests.deploy.repository import DEPLOY, text
from tests.servers import programs
from tests.servers.mariadb import mariadb
from tests.servers.postgres import PASSWORD, postgres
from tests.sources.airflow_db.world import AirflowWorld, engine_of

CHOSEN = "chosen by hand"
REFUSED = ("SELECT * FROM dag_run", "DELETE FROM task_instance", "UPDATE job SET state = 'failed'")


async def asked(url, *statements):
    """The error of each statement, each in a transaction of its own; None: it was allowed."""
    engine, errors = engine_of(url), []
    for statement in statements:
        try:
            async with engine.begin() as connection:
                await connection.execute(sa.text(statement))
            errors.append(None)
        except sa.exc.DBAPIError as error:
            errors.append(error)
    return errors


async def told(url, *statements):
    assert await asked(url, *statements) == [None] * len(statements)


async def shown(url, query):
    """The first column of a query's answer."""
    async with engine_of(url).connect() as connection:
        return (await connection.execute(sa.text(query))).scalars().all()


def read(url):
    """The findings of a check and one reading, as whoever the URL names."""

    async def work():
        database = AirflowDatabase(fixed(url), clock=lambda: 0.0)
        try:
            return await diagnose(database), await database.snapshot()
        finally:
            await database.aclose()

    return anyio.run(work)


def as_autoscaler(url):
    """The same place, logged in as the daemon."""
    return re.sub(r"//[^@]*@", f"//autoscaler:{quote(CHOSEN)}@", url)


def airflow_at(url):
    world = AirflowWorld(url, "3").build()
    anyio.run(world.empty)


def test_postgresql():
    """After the script and a password the daemon reads all it needs; other tables and writes are refused."""
    with postgres() as server:
        anyio.run(create_database, server.url())
        url = server.url("airflow")
        airflow_at(url)
        psql = [programs.postgresql() / "psql", "-h", server.folder.path, "-U", "postgres", "-d", "airflow"]
        script = ["-X", "-v", "ON_ERROR_STOP=1", "-f", DEPLOY / "postgres-grants.sql"]
        done = subprocess.run(
            [*psql, *script], env={"PGPASSWORD": PASSWORD}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        anyio.run(told, url, f"ALTER ROLE autoscaler PASSWORD '{CHOSEN}'")
        assert_reads_and_no_more(as_autoscaler(url))
        # The second lock: a right that is granted by mistake is still not used.
        anyio.run(told, url, "GRANT DELETE ON task_instance TO autoscaler")
        (error,) = anyio.run(asked, as_autoscaler(url), "DELETE FROM task_instance")
        assert "read-only transaction" in str(error)


async def create_database(url):
    engine = engine_of(url).execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.exec_driver_sql("CREATE DATABASE airflow")


def test_mariadb():
    """The account is locked until it has a password, wants TLS, and then reads two tables."""
    with mariadb() as server:
        anyio.run(create_database, server.url())
        url = server.url("airflow")
        airflow_at(url)
        script = re.sub(r"--.*", "", text("deploy/mysql-grants.sql"))
        anyio.run(told, url, *filter(None, map(str.strip, script.split(";"))))
        (created,) = anyio.run(shown, url, "SHOW CREATE USER 'autoscaler'@'%'")
        assert "REQUIRE SSL" in created
        assert "ACCOUNT LOCK" in created
        assert "MAX_USER_CONNECTIONS 10" in created
        anyio.run(told, url, f"ALTER USER 'autoscaler'@'%' IDENTIFIED BY '{CHOSEN}'")
        # Either lock alone keeps everybody out: a socket is not TLS, and this server has no certificate.
        for state in ("REQUIRE NONE ACCOUNT LOCK", "REQUIRE SSL ACCOUNT UNLOCK"):
            anyio.run(told, url, f"ALTER USER 'autoscaler'@'%' {state}")
            with pytest.raises(SourceError):
                read(as_autoscaler(url))
        anyio.run(told, url, "ALTER USER 'autoscaler'@'%' REQUIRE NONE")
        assert_reads_and_no_more(as_autoscaler(url))


def assert_reads_and_no_more(url):
    found, snapshot = read(url)
    assert [finding for finding in found if not finding.ok] == []
    assert snapshot.schedulers == 1
    errors = anyio.run(asked, url, *REFUSED)
    assert all(error is not None and re.search("denied|read-only", str(error)) for error in errors)
    anyio.run(leads, url)


async def leads(url):
    """No grant is needed for the lease, and two more sessions fit in the account's limit."""
    first, second = (DatabaseLease(fixed(url), "lease", host, 60) for host in ("a", "b"))
    standing = await first.acquire()
    assert isinstance(standing, Leads)
    await first.confirm(standing.epoch)
    assert isinstance(await second.acquire(), StandsBy)
    await first.release()
    await second.release()


@pytest.mark.parametrize("name", ["postgres-grants.sql", "mysql-grants.sql"])
def test_the_script_grants_the_tables_that_are_read(name):
    """SELECT on every table that the daemon reads, and on no other; no password in a file."""
    sql = re.sub(r"--.*", "", text(f"deploy/{name}"))
    grants = re.findall(r"GRANT (\w+) ON (?!SCHEMA|DATABASE)([\w.,\s]+?) TO", sql)
    assert {right for right, _ in grants} == {"SELECT"}
    tables = {table.strip().rpartition(".")[2] for _, names in grants for table in names.split(",")}
    assert tables == set(TABLES)
    assert "PASSWORD" not in sql.upper()
    assert "IDENTIFIED" not in sql.upper()
