"""Where the database's URL comes from.  Asked again for every new connection, so it may change."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import anyio.to_thread
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError
from sqlalchemy.engine import URL

from autoscaler.aws import BoundedSession
from autoscaler.ports import SourceError
from autoscaler.small_file import MOST_SECRET_BYTES, text_in

Credentials = Callable[[], Awaitable[str]]
"""Gives the database's URL as it is now.  Raises `SourceError`."""

_SCHEMES: Mapping[str, str] = {
    "postgres": "postgresql",
    "aurora-postgresql": "postgresql",
    "mariadb": "mysql",
}


def fixed(url: str) -> Credentials:
    """Always the same URL, such as one from the environment."""

    async def credentials() -> str:
        return url

    return credentials


def from_file(path: str) -> Credentials:
    """The content of a file, such as a mounted secret."""

    async def credentials() -> str:
        try:
            text = await anyio.to_thread.run_sync(text_in, path, MOST_SECRET_BYTES)
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise SourceError(f"the database URL file {path} cannot be read: {why}") from None
        if not text.strip():
            raise SourceError(f"the database URL file {path} is empty: expected a SQLAlchemy URL")
        return text.strip()

    return credentials


def from_secrets_manager(
    secret_id: str, region: str | None = None, endpoint_url: str | None = None
) -> Credentials:
    """The value of an AWS secret: a URL, or the JSON that RDS keeps (engine, host, username, ...)."""
    config = AioConfig(
        http_session_cls=BoundedSession,
        connect_timeout=2,
        read_timeout=3,
        retries={"total_max_attempts": 2, "mode": "standard"},
    )

    async def credentials() -> str:
        try:
            async with get_session().create_client(
                "secretsmanager", region_name=region, endpoint_url=endpoint_url, config=config
            ) as client:
                answer = await client.get_secret_value(SecretId=secret_id)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown error")
            remedy = (
                "allow secretsmanager:GetSecretValue on it (and kms:Decrypt on its key), or check its name"
            )
            raise SourceError(f"the secret {secret_id} cannot be read: {code}; {remedy}") from None
        except Exception as error:  # noqa: BLE001 - botocore's parsers raise anything on a broken body
            raise SourceError(f"the secret {secret_id} cannot be read: {type(error).__name__}") from None
        return url_of_secret(secret_id, answer.get("SecretString"))

    return credentials


def url_of_secret(secret_id: str, text: str | None) -> str:
    """The URL that a secret's value stands for.  Raises `SourceError`, which never repeats the value."""
    value = text.strip() if isinstance(text, str) else ""
    if not value.startswith("{"):
        if not value:
            raise SourceError(f"the secret {secret_id} has no text value: expected a SQLAlchemy URL")
        return value
    try:
        parts: dict[str, Any] = json.loads(value)
        engine = str(parts["engine"]).lower()
        url = URL.create(
            _SCHEMES.get(engine, engine.removeprefix("aurora-")),
            username=parts["username"],
            password=parts["password"],
            host=parts["host"],
            port=int(parts["port"]) if "port" in parts else None,
            database=parts["dbname"],
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        missing = f"lacks {error}" if isinstance(error, KeyError) else "is malformed"
        raise SourceError(
            f"the secret {secret_id} {missing}: expected a SQLAlchemy URL, or JSON with engine, host, port, "
            "dbname, username, password"
        ) from None
    return url.render_as_string(hide_password=False)
