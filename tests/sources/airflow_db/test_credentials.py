"""Where the URL comes from."""

import boto3
import pytest
from moto.server import ThreadedMotoServer

from autoscaler.ports import SourceError
from autoscaler.sources.airflow_db import fixed, from_file, from_secrets_manager
from autoscaler.sources.airflow_db.credentials import url_of_secret

pytestmark = pytest.mark.anyio


async def test_a_fixed_url():
    """From the environment or the configuration."""
    assert await fixed("sqlite:////a.db")() == "sqlite:////a.db"


async def test_a_file_is_read_each_time(tmp_path):
    """A mounted secret changes under us."""
    file = tmp_path / "url"
    credentials = from_file(str(file))
    with pytest.raises(SourceError, match=r"url cannot be read: No such file"):
        await credentials()
    file.write_text(" one\n")
    assert await credentials() == "one"
    file.write_text("two")
    assert await credentials() == "two"
    file.write_text("\n")
    with pytest.raises(SourceError, match="is empty: expected a SQLAlchemy URL"):
        await credentials()
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(SourceError, match="not UTF-8"):
        await credentials()


RDS = '{"engine": "%s", "host": "h", "port": 5432, "dbname": "d", "username": "u", "password": "p@/"}'


@pytest.mark.parametrize(
    ("engine", "scheme"),
    [
        ("postgres", "postgresql"),
        ("aurora-postgresql", "postgresql"),
        ("mysql", "mysql"),
        ("aurora-mysql", "mysql"),
        ("mariadb", "mysql"),
    ],
)
def test_the_json_that_rds_keeps_is_a_url(engine, scheme):
    """Its rotation writes that form."""
    assert url_of_secret("s", RDS % engine) == f"{scheme}://u:p%40%2F@h:5432/d"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "no text value"),
        ("{secret-word", "is malformed"),
        ('{"engine": "postgres", "password": "secret-word"}', "lacks 'username'"),
        (
            '{"engine":"x","host":"h","port":"secret-word","dbname":"","username":"","password":""}',
            "malformed",
        ),
    ],
)
def test_other_secrets_are_refused_without_being_repeated(value, said):
    """With what was expected."""
    with pytest.raises(SourceError, match=said) as raised:
        url_of_secret("my-secret", value)
    assert "secret-word" not in str(raised.value)
    assert "my-secret" in str(raised.value)


async def test_secrets_manager_is_asked_each_time(monkeypatch):
    """So a rotated secret is found; a missing one is named."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    server = ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        place = {"region_name": "eu-west-1", "endpoint_url": f"http://{host}:{port}"}
        client = boto3.client("secretsmanager", **place)
        client.create_secret(Name="airflow/url", SecretString="postgresql://u:one@h/d")
        credentials = from_secrets_manager("airflow/url", "eu-west-1", place["endpoint_url"])
        assert await credentials() == "postgresql://u:one@h/d"
        client.put_secret_value(SecretId="airflow/url", SecretString="postgresql://u:two@h/d")
        assert await credentials() == "postgresql://u:two@h/d"
        missing = from_secrets_manager("airflow/none", "eu-west-1", place["endpoint_url"])
        with pytest.raises(
            SourceError, match=r"airflow/none cannot be read: ResourceNotFoundException; allow"
        ):
            await missing()
        client.close()
    finally:
        server.stop()
    with pytest.raises(SourceError, match="cannot be read: EndpointConnectionError"):
        await credentials()
