"""Where a trace lies: a file of this machine, or an object in S3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from simulations.content import MOST_BYTES, REMEDY, content_of
from simulations.trace import TraceError

CONNECT_SECONDS, ATTEMPTS = 5, 2
HOW_TO_LOG_IN = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


class ObjectUrl(str):
    """`s3://BUCKET/KEY`: text, since a `Path` would swallow a slash."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The key's last part."""
        return self.rpartition("/")[2]


TracePlace = Path | ObjectUrl


def place_of(text: str) -> TracePlace:
    """What a command line calls a trace."""
    return ObjectUrl(text) if "://" in text else Path(text)


@dataclass(frozen=True, slots=True)
class Opened:
    """A place that is there and may be read."""

    name: str
    """What errors call it."""
    where: str | Path
    """What polars calls it ..."""
    options: dict[str, str] | None = field(repr=False)
    """... and needs for it; holds secrets."""
    content: Callable[[], bytes] = field(repr=False)


def opened(place: TracePlace) -> Opened:
    """Raises `TraceError` if nothing is there, or it may not be read."""
    if isinstance(place, ObjectUrl):
        return _object(place)
    if place.is_dir():
        raise TraceError(f"{place}: expected a file, this is a folder")
    if not place.is_file():
        raise TraceError(f"{place}: there is no such file")
    return Opened(place.name, place, None, partial(content_of, place))


def _object(url: ObjectUrl) -> Opened:
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket or not key:
        raise TraceError(f"{url}: expected a file, or s3://BUCKET/KEY")
    with _told(url):
        client, options = _client()
    with _told(url):
        if not _is_there(client, "head_object", Bucket=bucket, Key=key):
            missing = "object" if _is_there(client, "head_bucket", Bucket=bucket) else "bucket"
            raise TraceError(f"{url}: there is no such {missing}")

    def content() -> bytes:
        with _told(url):
            body: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise TraceError(f"{url}: more than {MOST_BYTES:,} bytes; {REMEDY}")
        return body

    return Opened(url.name, str(url), options, content)


def _client() -> tuple[Any, dict[str, str]]:
    """A client of boto3, and polars' options for the same credentials, region and endpoint."""
    import boto3  # noqa: PLC0415 - slow, and seldom wanted
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import NoCredentialsError  # noqa: PLC0415

    session = boto3.Session()
    credentials = session.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    config = Config(connect_timeout=CONNECT_SECONDS, retries={"total_max_attempts": ATTEMPTS})
    client: Any = session.client("s3", config=config)
    frozen = credentials.get_frozen_credentials()
    options = {
        "aws_access_key_id": frozen.access_key,
        "aws_secret_access_key": frozen.secret_key,
        "aws_session_token": frozen.token,
        "aws_region": client.meta.region_name,
        "aws_endpoint_url": None if _is_amazon(client.meta.endpoint_url) else client.meta.endpoint_url,
    }
    return client, {name: value for name, value in options.items() if value}


def _is_amazon(endpoint: str) -> bool:
    return endpoint.rstrip("/").endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _is_there(client: Any, question: str, **words: str) -> bool:
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        getattr(client, question)(**words)
    except ClientError as error:
        if _status(error) == 404:
            return False
        raise
    return True


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


@contextmanager
def _told(url: ObjectUrl) -> Iterator[None]:
    """What AWS says, in one line."""
    from botocore.exceptions import (  # noqa: PLC0415
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        PartialCredentialsError,
    )

    try:
        yield
    except (NoCredentialsError, PartialCredentialsError):
        raise TraceError(f"{url}: there are no AWS credentials; {HOW_TO_LOG_IN}") from None
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if _status(error) == 403:
            why = "access denied; it needs s3:GetObject on the object and s3:ListBucket on the bucket"
        elif _status(error) in {301, 307, 400} and code in {"301", "307", "400", "PermanentRedirect"}:
            why = f"S3 answers {code}: the bucket may be in another region; set AWS_REGION"
        else:
            why = f"S3 answers {code}"
        raise TraceError(f"{url}: {why}") from None
    except BotoCoreError as error:
        why = str(error).strip().partition("\n")[0]
        raise TraceError(f"{url}: {why}") from None
