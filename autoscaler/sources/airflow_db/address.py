"""Where the database is: Airflow's own kind of URL, turned into what the async drivers take."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from autoscaler.ports import SourceError

ASYNC_DRIVERS: Mapping[str, str] = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+asyncmy",
    "mariadb": "mysql+asyncmy",
    "sqlite": "sqlite+aiosqlite",
}
"""By the URL's backend; whatever driver Airflow itself uses does not matter."""

SQLITE_LOCK_SECONDS = 2.0
"""How long to wait for a writer; its lock is held for milliseconds."""

_EXPECTED = "expected postgresql://, mysql:// or sqlite:/// as in Airflow's [database] sql_alchemy_conn"

# What libpq understands on the client's side alone; asyncpg would send it to the server as a setting.
_LIBPQ_ONLY = frozenset({
    "channel_binding", "client_encoding", "connect_timeout", "gssencmode", "keepalives", "keepalives_count",
    "keepalives_idle", "keepalives_interval", "prepared_statement_cache_size", "tcp_user_timeout",
})  # fmt: skip

_MYSQL_KEPT = frozenset({"charset", "unix_socket"})


@dataclass(frozen=True, slots=True)
class Address:
    """A database to connect to; its repr never holds the password."""

    url: URL
    connect_args: Mapping[str, Any] = field(repr=False)
    place: str
    """User, host, port and database, as people name it in a ticket."""
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def backend(self) -> str:
        """`postgresql`, `mysql` or `sqlite`."""
        return self.url.get_backend_name()

    @property
    def user(self) -> str:
        """Who logs in, as SQL names it."""
        name = self.url.username or "the user"
        return f"'{name}'@'%'" if self.backend == "mysql" else name

    def scrubbed(self, text: str) -> str:
        """The text without the password, however it was written."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def parse(text: str) -> Address:
    """The address of an Airflow-style SQLAlchemy URL.

    Raises `SourceError`, whose message never repeats the URL: a password may be anywhere in a bad one.
    """
    unreadable = SourceError(
        f"the Airflow database URL cannot be parsed: {_EXPECTED}, with special characters of the "
        "password percent-encoded"
    )
    try:
        url = make_url(text.strip())
    except (ArgumentError, ValueError):
        # A password with an unquoted @, / or : is the usual reason.
        raise unreadable from None
    backend = url.drivername.split("+")[0]
    if backend != "sqlite" and "@" in f"{url.host}{url.database}":
        raise unreadable  # the end of a password that holds an @, and would be shown as the place
    driver = ASYNC_DRIVERS.get(backend)
    if driver is None:
        raise SourceError(f"the Airflow database URL names an unknown kind of database: {_EXPECTED}")
    url = url.set(drivername=driver)
    if backend == "sqlite":
        return _sqlite(url)
    build = _postgresql if driver.startswith("postgresql") else _mysql
    bare = url.set(query={})
    return Address(bare, build(url), _place(url), _secrets(url))


def _place(url: URL) -> str:
    user = f"{url.username}@" if url.username else ""
    port = f":{url.port}" if url.port else ""
    host = url.host or url.query.get("host") or url.query.get("unix_socket") or "local socket"
    return f"{url.get_backend_name()}://{user}{host}{port}/{url.database or ''}"


def _secrets(url: URL) -> tuple[str, ...]:
    words = [url.password, *(value for key, value in url.query.items() if "password" in key)]
    plain = [str(word) for word in words if word]
    spellings = {form for word in plain for form in (word, quote(word, safe=""), quote_plus(word))}
    return tuple(sorted(spellings, key=len, reverse=True))


def _postgresql(url: URL) -> dict[str, Any]:
    # asyncpg reads libpq's parameters (sslmode, sslrootcert, host=/socket, options, ...) from a DSN only.
    kept = {key: value for key, value in url.query.items() if key not in _LIBPQ_ONLY}
    return {
        "dsn": f"postgresql:///?{urlencode(kept, doseq=True)}",
        # Behind PgBouncer in transaction mode the next transaction may run on another server connection,
        # so no statement may be kept there: no cache, and none with a name (asyncpg 0.30 would give one).
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": str,
    }


def _mysql(url: URL) -> dict[str, Any]:
    query = {key: str(value) for key, value in url.query.items()}
    arguments: dict[str, Any] = {key: value for key, value in query.items() if key in _MYSQL_KEPT}
    mode = query.get("ssl_mode", "").upper()
    if mode in {"REQUIRED", "PREFERRED", "VERIFY_CA", "VERIFY_IDENTITY"} or any(
        key in query for key in ("ssl_ca", "ssl_cert", "ssl_key")
    ):
        arguments["ssl"] = _tls(query, mode)
    return arguments


def _tls(query: Mapping[str, str], mode: str) -> ssl.SSLContext:
    authority = query.get("ssl_ca")
    try:
        context = ssl.create_default_context(cafile=authority)
        if certificate := query.get("ssl_cert"):
            context.load_cert_chain(certificate, query.get("ssl_key"))
    except OSError as error:
        raise SourceError(
            f"a TLS file of the Airflow database URL (ssl_ca, ssl_cert, ssl_key) cannot be read: {error}"
        ) from None
    context.check_hostname = mode == "VERIFY_IDENTITY"
    if authority is None and not mode.startswith("VERIFY"):
        context.verify_mode = ssl.CERT_NONE  # as MySQL's own clients: encrypted, but nobody vouches
    return context


def _sqlite(url: URL) -> Address:
    path = url.database
    if not path or path == ":memory:":
        raise SourceError(
            "an in-memory SQLite database cannot be shared: expected sqlite:////path/airflow.db"
        )
    path = path.removeprefix("file:").split("?")[0]
    # Read-only, so that a wrong path is an error and not a new, empty database.
    location = f"file:{quote(path)}"
    url = url.set(database=location, query={"mode": "ro", "uri": "true"})
    return Address(url, {"timeout": SQLITE_LOCK_SECONDS}, f"sqlite:///{path}")
