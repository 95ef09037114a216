"""Servers shared by all tests of one test process; each has its own."""

from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest

from tests.servers.mariadb import mariadb
from tests.servers.postgres import postgres
from tests.sources.airflow_db.world import engine_of


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_server():
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server():
    with mariadb() as server:
        yield server


async def _create(url, name):
    engine = engine_of(url).execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.exec_driver_sql(f"CREATE DATABASE {name}")


@pytest.fixture(scope="session")
def new_database(request, tmp_path_factory):
    """Gives the URL of an empty database of a kind."""
    numbers = iter(range(1_000))

    def create(kind):
        name = f"airflow_{next(numbers)}"
        if kind == "sqlite":
            path = tmp_path_factory.mktemp("sqlite") / f"{name} #1.db"
            path.touch()
            return f"sqlite:///{path}"
        server = request.getfixturevalue(f"{kind}_server")
        with ThreadPoolExecutor(1) as thread:  # a test's own event loop may be running here
            thread.submit(anyio.run, _create, server.url(), name).result()
        return server.url(name)

    return create
