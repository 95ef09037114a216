"""Where the broker is: Airflow's own `[celery] broker_url`, and how to speak of it without its secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from autoscaler.ports import IntakeError
from autoscaler.small_file import MOST_SECRET_BYTES, text_in

CONNECT_SECONDS = 2.0
SILENCE_SECONDS = 4.0
"""A socket that says nothing for so long is dead: no thread hangs on it for longer."""

_EXPECTED = "expected redis://, rediss://, sentinel:// or amqp(s):// as in Airflow's [celery] broker_url"
_REDIS = frozenset({"redis", "rediss", "redis+socket", "sentinel"})
_AMQP = frozenset({"amqp", "amqps", "pyamqp"})
_CAPABLE = _REDIS | _AMQP


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker with remote control; its repr never holds the password."""

    url: str = field(repr=False)
    place: str
    """Scheme, host, port and database or virtual host, as people name it in a ticket."""
    options: Mapping[str, Any] = field(repr=False)
    """kombu's transport options: the given ones over our limits."""
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def scrubbed(self, text: str) -> str:
        """The text without the passwords, however they were written."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def broker_of(url: str, options: Mapping[str, Any] | None = None) -> Broker:
    """The broker of a Celery URL, or of several separated by `;`, of which the first that answers is used.

    Raises `IntakeError`, whose message never repeats the URL: a password may be anywhere in a bad one.
    """
    urls = [part for part in url.strip().split(";") if part]
    if not urls:
        raise IntakeError(f"the broker URL is empty: {_EXPECTED}")
    places, secrets = zip(*(_parsed(each) for each in urls), strict=True)
    scheme = urls[0].partition("://")[0].lower()
    return Broker(
        ";".join(urls),
        places[0],
        {**_limits(scheme), **(options or {})},
        tuple(sorted({form for each in secrets for form in each}, key=len, reverse=True)),
    )


def url_from_file(path: str) -> str:
    """The broker URL that a file holds, such as a mounted secret.  Raises `IntakeError`."""
    try:
        url = text_in(path, MOST_SECRET_BYTES).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise IntakeError(f"the broker URL file {path} cannot be read: {why}") from None
    if not url:
        raise IntakeError(f"the broker URL file {path} is empty: {_EXPECTED}")
    return url


def _parsed(url: str) -> tuple[str, frozenset[str]]:
    """What may be shown, and what may not."""
    scheme = url.partition("://")[0].lower()
    if scheme == "sqs":
        raise IntakeError(
            "an SQS broker has no remote control: leave its URL out, and run `autoscaler guard` beside each "
            "worker"
        )
    unreadable = IntakeError(
        f"the broker URL cannot be parsed: {_EXPECTED}, with special characters of the password "
        "percent-encoded"
    )
    if scheme not in _CAPABLE or "://" not in url:
        raise unreadable
    try:
        parts = urlsplit(url)
        host, port, password = parts.hostname or "", parts.port, parts.password
    except ValueError:
        raise unreadable from None
    if "@" in f"{host}{parts.path}" or (not host and scheme != "redis+socket"):
        raise unreadable  # the end of a password that holds an @, and would be shown as the place
    user = f"{parts.username}@" if parts.username else ""
    place = f"{scheme}://{user}{host}{f':{port}' if port else ''}{parts.path}"
    query = (value for key, value in parse_qsl(parts.query) if "password" in key or "username" in key)
    words = {word for word in (unquote(password or ""), *query) if word}
    return place, frozenset(form for word in words for form in (word, quote(word, safe=""), quote_plus(word)))


def _limits(scheme: str) -> Mapping[str, Any]:
    if scheme in _AMQP:
        return {"read_timeout": SILENCE_SECONDS, "write_timeout": SILENCE_SECONDS}
    return {"socket_timeout": SILENCE_SECONDS, "socket_connect_timeout": CONNECT_SECONDS}
