"""Servers that keep leases, and daemons' ways to them."""

import itertools
from contextlib import suppress
from threading import Lock, Thread

import anyio
import boto3
import pytest
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

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
    """A moto server, with the table.

    One request at a time: moto compares and writes in two steps, what DynamoDB does in one.
    """
    moto, turn = DomainDispatcherApplication(create_backend_app), Lock()

    def in_turn(environ, start_response):
        with turn:
            return moto(environ, start_response)

    server = make_server("127.0.0.1", 0, in_turn, threaded=True, request_handler=MotoRequestHandler)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in AWS.items():
            patch.setenv(name, value)
        client = boto3.client("dynamodb", endpoint_url=url)
        with suppress(client.exceptions.ResourceInUseException):  # all moto servers of a process are one
            client.create_table(
                TableName=TABLE,
                KeySchema=[{"AttributeName": "lease", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "lease", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        yield url
    server.shutdown()
    server.server_close()


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
