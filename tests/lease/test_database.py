"""A lock of a database session: who may take it, what ends it, and what stands in the way."""

import anyio
import pytest
import sqlalchemy as sa

from autoscaler.lease.database import DatabaseLease
from autoscaler.lease.locks import PostgresLock
from autoscaler.ports import Leads, LeaseError, LeaseLostError, StandsBy
from autoscaler.sources.airflow_db.credentials import fixed
from tests.lease.conftest import leads_at_last
from tests.lease.relay import relay
from tests.servers.postgres import PASSWORD, pgbouncer
from tests.sources.airflow_db.world import engine_of

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["postgres", "mariadb"])
def server(request):
    """Each kind of server in turn."""
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture
async def lease_at(request):
    """Makes leases of one name; released at the end."""
    made = []

    def make(url, owner="host-a", expiry_seconds=60.0):
        lease = DatabaseLease(fixed(url), request.node.name, owner, expiry_seconds)
        made.append(lease)
        return lease

    yield make
    for lease in made:
        await lease.release()


async def execute(url, *statements):
    """As the administrator; the last statement's first value."""
    async with engine_of(url).execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        for statement in statements:
            result = await connection.execute(sa.text(statement))
        return result.scalar() if result.returns_rows else None


async def test_a_silent_leader_is_not_one(server, lease_at):
    """The server ends a session that says nothing for a second; one that is confirmed stays."""
    first, second = lease_at(server.url(), "a", expiry_seconds=1), lease_at(server.url(), "b")
    before = await first.acquire()
    for _ in range(8):
        await anyio.sleep(0.25)
        await first.confirm(before.epoch)
    assert isinstance(await second.acquire(), StandsBy)
    now = await leads_at_last(second)
    assert now.epoch > before.epoch
    with pytest.raises(LeaseLostError, match="session broke"):
        await first.confirm(before.epoch)
    with pytest.raises(LeaseLostError, match="session is over"):
        await first.confirm(before.epoch)
    assert isinstance(await first.acquire(), StandsBy)


async def test_a_session_that_somebody_ends_is_noticed_before_the_next_write(postgres_server, lease_at):
    """As an administrator may, or a failover does."""
    lease = lease_at(postgres_server.url())
    before = await lease.acquire()
    session = "FROM pg_stat_activity WHERE application_name = 'autoscaler host-a'"
    ended = await execute(postgres_server.url(), f"SELECT pg_terminate_backend(pid, 5000) {session}")
    assert ended is True
    with pytest.raises(LeaseLostError):
        await lease.confirm(before.epoch)
    assert (await lease.acquire()).epoch > before.epoch


async def test_a_lock_that_is_gone_from_a_living_session_is_noticed(postgres_server, lease_at):
    """The session answers, and holds nothing."""
    lease = lease_at(postgres_server.url())
    before = await lease.acquire()
    await lease._opened.connection.execute(sa.text("SELECT pg_advisory_unlock_all()"))
    with pytest.raises(LeaseLostError, match="not held"):
        await lease.confirm(before.epoch)


async def test_a_user_that_may_only_read_can_lead(postgres_server, lease_at):
    """As `deploy/postgres-grants.sql` makes it: no grant at all is needed for the lock."""
    await execute(
        postgres_server.url(),
        "CREATE ROLE reader LOGIN PASSWORD 'reader'",
        "ALTER ROLE reader SET default_transaction_read_only = on",
    )
    first = lease_at(postgres_server.url(user="reader", password="reader"), "host-a")
    second = lease_at(postgres_server.url(user="reader", password="reader"), "host-b")
    leads = await first.acquire()
    await first.confirm(leads.epoch)
    assert await second.acquire() == StandsBy("host-a")


async def test_a_user_without_any_grant_can_lead_on_mariadb(mariadb_server, lease_at):
    """It sees its own sessions, which are the other daemons'."""
    await execute(mariadb_server.url(), "CREATE USER lessee@localhost IDENTIFIED BY 'lessee'")
    url = mariadb_server.url(database="", user="lessee", password="lessee")
    first, second = lease_at(url), lease_at(url)
    leads = await first.acquire()
    await first.confirm(leads.epoch)
    assert await second.acquire() == StandsBy("localhost")


async def test_a_pooler_in_the_way_is_refused_with_a_remedy(postgres_server, lease_at):
    """Through PgBouncer the lock would belong to a session that anybody may be lent."""
    remedy = r"pooler or proxy .* set lease.database_url"
    with pgbouncer(postgres_server, "postgres") as url, pytest.raises(LeaseError, match=remedy) as caught:
        await lease_at(url).acquire()
    assert PASSWORD not in str(caught.value)
    assert isinstance(await lease_at(postgres_server.url()).acquire(), Leads)


async def test_nobody_leads_on_a_standby(postgres_server, lease_at):
    """Its locks are its own: on each standby another daemon could lead."""
    with postgres_server.standby() as standby, pytest.raises(LeaseError, match="read-only replica"):
        await lease_at(standby.url()).acquire()


async def test_what_cannot_keep_a_lock_says_so(tmp_path, lease_at):
    """SQLite, and an address that is none."""
    (tmp_path / "airflow.db").touch()
    with pytest.raises(LeaseError, match=r"use lease\.kind file"):
        await lease_at(f"sqlite:///{tmp_path / 'airflow.db'}").acquire()
    with pytest.raises(LeaseError, match="cannot be parsed"):
        await lease_at("hunter2").acquire()


async def test_a_server_that_does_not_end_silent_sessions_is_refused():
    """PostgreSQL before 14: a leader whose host vanished would lead for hours."""

    class Old:
        async def execute(self, statement, parameters):
            return self

        def scalar(self):
            return "130014"

    with pytest.raises(LeaseError, match="PostgreSQL 13, expected 14 or newer"):
        await PostgresLock("name").prepare(Old(), "host-a", 6)


async def test_a_wrong_password_is_told_without_it(server, lease_at):
    """Place and remedy, no secret."""
    with pytest.raises(LeaseError, match="check the credentials") as caught:
        await lease_at(server.url(password="hunter2")).acquire()
    assert "hunter2" not in str(caught.value)


async def test_a_server_that_hangs_costs_the_lease_and_no_more_time_than_given(mariadb_server, lease_at):
    """Given up at the caller's deadline; the session is closed, so that there is no doubt."""
    lease = lease_at(mariadb_server.url())
    leads = await lease.acquire()
    with mariadb_server.hanging():
        with anyio.move_on_after(0.3) as scope:
            await lease.confirm(leads.epoch)
        assert scope.cancelled_caught
        with pytest.raises(LeaseLostError):
            await lease.confirm(leads.epoch)
    assert (await leads_at_last(lease)).epoch > leads.epoch


async def test_a_cut_network_stops_the_leader_and_frees_the_lock(postgres_server, lease_at, tmp_path):
    """Nothing arrives and nobody is told: the leader is not confirmed, and the server forgets it."""
    folder = postgres_server.folder.path
    async with relay(f"{tmp_path}/.s.PGSQL.5432", f"{folder}/.s.PGSQL.5432") as way:
        url = postgres_server.url().replace(str(folder), str(tmp_path))
        first, second = lease_at(url, "a", expiry_seconds=1), lease_at(postgres_server.url(), "b")
        leads = await first.acquire()
        await first.confirm(leads.epoch)
        way.cut = True
        with anyio.move_on_after(0.3) as scope:
            await first.confirm(leads.epoch)
        assert scope.cancelled_caught
        assert isinstance(await leads_at_last(second), Leads)
        with pytest.raises(LeaseLostError):
            await first.confirm(leads.epoch)
