"""What real servers do to a source: refuse, hang, vanish, come back, turn out to be the wrong one."""

import socket
from contextlib import closing
from urllib.parse import quote

import anyio
import pytest
import sqlalchemy as sa

from autoscaler.ports import SourceError
from autoscaler.sources.airflow_db import Expectation, Timeouts, diagnose, from_file
from tests.servers.postgres import PASSWORD
from tests.sources.airflow_db.world import AirflowWorld, database_of, eventually, read_error

pytestmark = pytest.mark.anyio

SERVERS = ("postgres", "mariadb")
QUICK = Timeouts(connect_seconds=10.0, statement_seconds=1.0)


@pytest.fixture(scope="session", params=SERVERS)
def kind(request):
    return request.param


@pytest.fixture(scope="session")
def built(kind, new_database):
    return AirflowWorld(new_database(kind), "3").build()


@pytest.fixture
def server(request, kind):
    return request.getfixturevalue(f"{kind}_server")


@pytest.fixture
async def airflow(built):
    await built.empty()
    await built.tasks(2, "queued", silent=None)
    return built


@pytest.fixture
async def reader(airflow, kind):
    """A user that may do nothing but log in."""
    password = "old secret/@%"
    if kind == "postgres":
        await airflow.execute(f"CREATE ROLE reader LOGIN PASSWORD '{password}'")
    else:
        await airflow.execute(f"CREATE USER reader@localhost IDENTIFIED BY '{password}'".replace("%", "%%"))
        await airflow.execute("GRANT USAGE ON *.* TO reader@localhost")
    yield password
    if kind == "postgres":
        await airflow.execute("DROP OWNED BY reader", "DROP ROLE reader")
    else:
        await airflow.execute("DROP USER reader@localhost")


async def grant(airflow, kind, table):
    schema = "" if kind == "postgres" else f"{database_of(airflow)}."
    host = "" if kind == "postgres" else "@localhost"
    await airflow.execute(f"GRANT SELECT ON {schema}{table} TO reader{host}")


async def set_password(airflow, kind, password):
    if kind == "postgres":
        await airflow.execute(f"ALTER ROLE reader PASSWORD '{password}'")
    else:
        await airflow.execute(f"ALTER USER reader@localhost IDENTIFIED BY '{password}'")


async def disconnect(airflow, kind):
    """As a failover does it: all other connections end."""
    if kind == "postgres":
        await airflow.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()"
        )
    else:
        async with airflow.engine.connect() as connection:
            others = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() "
            rows = await connection.exec_driver_sql(others + "AND id <> CONNECTION_ID()")
            for (number,) in rows.all():
                await connection.exec_driver_sql(f"KILL {number}")


async def test_a_user_with_select_on_two_tables_suffices(airflow, kind, server, reader):
    """And until then the error names the grant that is missing."""
    source = airflow.source(server.url(database_of(airflow), "reader", reader))
    if kind == "postgres":
        said = await read_error(source)
        assert "GRANT SELECT ON job TO reader" in said
    else:
        assert f"GRANT SELECT ON {database_of(airflow)}.job TO 'reader'@'%'" in await read_error(source)
    await grant(airflow, kind, "job")
    assert "task_instance TO" in await read_error(source)
    wrong = [finding for finding in await diagnose(source) if not finding.ok]
    assert ["GRANT SELECT ON" in finding.remedy for finding in wrong] == [True]
    await grant(airflow, kind, "task_instance")
    assert (await source.target().demand()).queued == 2
    await source.aclose()


async def test_a_rotated_password_costs_readings_and_no_restart(airflow, kind, server, reader, tmp_path):
    """The URL's file is read again after the refusal; the password is in no message."""
    file, new = tmp_path / "url", "new&secret"
    file.write_text(server.url(database_of(airflow), "reader", reader) + "\n")
    for table in ("job", "task_instance"):
        await grant(airflow, kind, table)
    source = airflow.source(credentials=from_file(str(file)))
    assert (await source.target().demand()).queued == 2
    await set_password(airflow, kind, new)
    assert (await source.target().demand()).queued == 2  # the open connection stays good
    await disconnect(airflow, kind)
    said = await read_error(source)
    assert "the password is refused" in said
    assert reader not in said
    assert quote(reader, safe="") not in said
    file.write_text(server.url(database_of(airflow), "reader", new))
    assert (await source.target().demand()).queued == 2
    await source.aclose()


async def test_a_lost_connection_is_replaced_at_once(airflow, kind):
    """An idle connection that a failover or a pooler ended costs nothing."""
    source = airflow.source()
    for _ in range(3):
        assert (await source.target().demand()).queued == 2
        await disconnect(airflow, kind)
    await source.aclose()


async def test_a_stopped_server_is_an_error_and_read_again_when_back(airflow, server):
    """No restart of ours for a restart of theirs."""
    source = airflow.source()
    assert (await source.target().demand()).queued == 2
    server.stop()
    try:
        for _ in range(2):
            assert "; " in await read_error(source)
    finally:
        server.start()

    async def back():
        try:
            return (await source.target().demand()).queued == 2
        except SourceError:
            return False

    await eventually(back)
    await source.aclose()


async def lock(airflow, kind, connection):
    if kind == "postgres":
        await connection.exec_driver_sql("LOCK TABLE task_instance IN ACCESS EXCLUSIVE MODE")
    else:
        await connection.exec_driver_sql("LOCK TABLES task_instance WRITE")


async def test_a_slow_statement_is_given_up(airflow, kind):
    """By the server itself, which says so; afterwards all is well."""
    source = airflow.source(timeouts=QUICK)
    async with airflow.engine.connect() as connection:
        await lock(airflow, kind, connection)
        said = await read_error(source)
        assert "took longer than 1 s" in said
    assert (await source.target().demand()).queued == 2
    await source.aclose()


async def test_a_cancelled_reading_leaves_nothing_behind(airflow, kind):
    """The loop's deadline cancels; the next reading works."""
    source = airflow.source()
    async with airflow.engine.connect() as connection:
        await lock(airflow, kind, connection)
        with anyio.move_on_after(0.2) as scope:
            await source.target().demand()
        assert scope.cancelled_caught
    assert (await source.target().demand()).queued == 2
    await source.aclose()


async def test_a_missing_database_is_named(airflow, server):
    """Reachable, but wrong."""
    source = airflow.source(server.url("nowhere"))
    assert "there is no such database" in await read_error(source)
    findings = await diagnose(source, [Expectation("main", 4, 5)])
    assert [(finding.ok, finding.remedy) for finding in findings] == [
        (False, "check the database name in the URL")
    ]


async def test_an_empty_database_is_not_an_idle_airflow(airflow, kind, new_database):
    """No tables, no zero."""
    source = airflow.source(new_database(kind))
    said = await read_error(source)
    assert "there is no table job" in said
    assert "check that the URL names Airflow's own database" in said


async def test_a_server_that_never_answers_is_given_up(airflow, kind):
    """It accepts the connection and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        scheme = {"postgres": "postgres", "mariadb": "mysql"}[kind]
        url = f"{scheme}://someone:secret-word@127.0.0.1:{listener.getsockname()[1]}/airflow"
        source = airflow.source(url, timeouts=Timeouts(connect_seconds=0.3))
        said = await read_error(source)
    assert "no connection within 0.3 s; check host" in said
    assert "secret-word" not in said


async def test_a_closed_port_is_named(airflow, kind):
    """With host and port, without the password."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    scheme = {"postgres": "postgres", "mariadb": "mysql"}[kind]
    said = await read_error(airflow.source(f"{scheme}://someone:secret-word@127.0.0.1:{port}/airflow"))
    assert f"someone@127.0.0.1:{port}/airflow: nobody answers" in said
    assert "secret-word" not in said


async def test_a_connection_that_dies_young_is_not_tried_twice(airflow):
    """A second try is for connections that have grown old unseen."""
    source, attempts = airflow.source(), []

    async def die(session):
        attempts.append(session)
        raise ConnectionResetError

    with pytest.raises(SourceError, match="nobody answers"):
        await source.transaction(die)
    assert len(attempts) == 1
    await source.snapshot()
    with pytest.raises(SourceError, match="nobody answers"):
        await source.transaction(die)
    assert len(attempts) == 3
    await source.aclose()


async def test_no_server_side_statement_is_kept(airflow, kind):
    """Seen from inside the source's own connection."""
    if kind != "postgres":
        return
    source = airflow.source()

    async def names(session):
        rows = await session.connection.execute(sa.text("SELECT name FROM pg_prepared_statements"))
        return [row[0] for row in rows]

    await source.snapshot()
    assert await source.transaction(names) == []
    await source.aclose()


async def test_the_source_cannot_write(airflow, kind):
    """Whatever the user may do."""
    if kind != "postgres":
        return
    source = airflow.source()

    async def write(session):
        await session.connection.execute(sa.text("DELETE FROM job"))

    with pytest.raises(SourceError, match="read-only transaction"):
        await source.transaction(write)
    await source.aclose()
    assert PASSWORD not in repr(source)
