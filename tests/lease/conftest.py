"""Servers that keep leases, and daemons' ways to them."""

import itertools

import anyio
import boto3
import pytest
from moto.server import ThreadedMotoServer

from autoscaler.lease.database import DatabaseLease
from autoscaler.lease.dynamodb import DynamodbLease
from autoscaler.lease.file import FileLease
from autoscaler.ports import Leads
from autoscaler.sources.airflow_db.credentials import fixed
from tests.servers.mariadb import mariadb
from tests.servers.postgres import postgres
from tests.shell.daemon import AWS

TABLE = "autoscaler-leases"
NUMBERS = itertools.count()


async def leads_at_last(lease):
    """Asks until it leads."""
    with anyio.fail_after(60):
        while not isinstance(standing := await lease.acquire(), Leads):  # noqa: ASYNC110 - nobody tells
            await anyio.sleep(0.05)
        return standing


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


@pytest.fixture(scope="session")
def dynamodb_url():
    """A moto server, with the table."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in AWS.items():
            patch.setenv(name, value)
        boto3.client("dynamodb", endpoint_url=url).create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "lease", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "lease", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield url
    server.stop()


@pytest.fixture(params=["file", "postgres", "mariadb", "dynamodb"])
async def lease_of(request, tmp_path):
    """Makes a daemon's lease, all of one name of this test's own; released at the end."""
    name, made = f"test {next(NUMBERS)}", []

    def make(owner, expiry_seconds=60.0, name=name):
        if request.param == "file":
            lease = FileLease(str(tmp_path / name), owner)
        elif request.param == "dynamodb":
            url = request.getfixturevalue("dynamodb_url")
            lease = DynamodbLease(TABLE, name, owner, expiry_seconds, region="us-east-1", endpoint_url=url)
        else:
            server = request.getfixturevalue(f"{request.param}_server")
            lease = DatabaseLease(fixed(server.url()), name, owner, expiry_seconds)
        made.append(lease)
        return lease

    make.kind = request.param
    yield make
    for lease in made:
        await lease.release()
