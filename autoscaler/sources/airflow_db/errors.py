"""What the drivers' errors mean, in one line with a remedy and without a secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy.exc import DBAPIError

from autoscaler.ports import SourceError
from autoscaler.sources.airflow_db.address import Address

# SQLSTATEs of PostgreSQL (its manual, appendix A) and PgBouncer.
_POSTGRESQL: Mapping[str, tuple[str, str]] = {
    "28P01": ("the user or the password is refused", "check the credentials"),
    "28000": ("the login is refused", "check the user, pg_hba.conf and whether TLS is required"),
    "3D000": ("there is no such database", "check the database name in the URL"),
    "42501": ("a right is missing", "GRANT SELECT ON {table} TO {user}, and USAGE on its schema"),
    "42P01": (
        "there is no table {table} to be seen",
        "check that the URL names Airflow's own database, and USAGE on its schema for {user}",
    ),
    "42703": ("a column of {table} has gone", "the schema is changing; if this stays, report the version"),
    "53300": ("the server has no connection left", "raise max_connections or use a pooler"),
    "57014": ("a query took longer than {timeout:g} s", "see whether the database is overloaded or locked"),
    "57P01": ("the server is shutting down", "waiting for it to come back"),
    "57P02": ("the server crashed", "waiting for it to come back"),
    "57P03": ("the server is starting up or shutting down", "waiting for it to come back"),
}
# Error numbers of MySQL and MariaDB (their manuals' error references).
_MYSQL: Mapping[int, tuple[str, str]] = {
    1040: ("the server has no connection left", "raise max_connections"),
    1044: ("{user} may not use this database", "GRANT SELECT ON {database}.{table} TO {user}"),
    1045: ("the user or the password is refused", "check the credentials"),
    1049: ("there is no such database", "check the database name in the URL"),
    1054: ("a column of {table} has gone", "the schema is changing; if this stays, report the version"),
    1142: ("a right is missing", "GRANT SELECT ON {database}.{table} TO {user}"),
    1143: ("a right is missing", "GRANT SELECT ON {database}.{table} TO {user}"),
    1146: ("there is no table {table}", "check that the URL names Airflow's own database"),
    1698: ("the user or the password is refused", "check the credentials"),
    1969: ("a query took longer than {timeout:g} s", "see whether the database is overloaded or locked"),
    2003: ("nobody answers", "check host, port and security groups"),
    3024: ("a query took longer than {timeout:g} s", "see whether the database is overloaded or locked"),
}
_NO_FILE = ("the file cannot be opened", "check the path and that it may be read")
_SQLITE: Mapping[str, tuple[str, str]] = {
    "unable to open database file": _NO_FILE,
    "no such table": ("there is no table {table}", "check that the URL names Airflow's own database"),
    "no such column": ("a column of {table} has gone", "the schema is changing"),
    "file is not a database": ("the file is no SQLite database", "check the path"),
    "database is locked": ("the database is locked", "see who holds it"),
}
_NOBODY_ANSWERS = ("nobody answers", "check host, port and security groups, and that the server runs")
_BROKEN = ("the connection broke", "waiting for the server to come back")


def translated(error: BaseException, address: Address, table: str, timeout_seconds: float) -> SourceError:
    """The error a person wants to read: what, where, what to do; raise it `from None`."""
    # Only the driver's words can hold the password: what is said beside them may well read like it.
    words = address.scrubbed(_words(error))
    meaning = _meaning(error, address.backend)
    if meaning is None:
        what = words or type(error).__name__
        return SourceError(f"{address.place}: {what}; see the database's own log")
    names = {
        "table": table,
        "user": address.user,
        "database": address.url.database or "DATABASE",
        "timeout": timeout_seconds,
    }
    what, remedy = (part.format_map(names) for part in meaning)
    said = f" ({words})" if words else ""
    return SourceError(f"{address.place}: {what}{said}; {remedy}")


def is_broken_connection(error: BaseException) -> bool:
    """Whether the connection died, so that a new one may well succeed at once."""
    invalidated = isinstance(error, DBAPIError) and error.connection_invalidated
    return invalidated or any(isinstance(each, OSError | EOFError) for each in _chain(error))


def _meaning(error: BaseException, backend: str) -> tuple[str, str] | None:
    for each in _chain(error):
        match backend:
            case "postgresql":
                known = _POSTGRESQL.get(str(getattr(each, "sqlstate", "")))
                if known is None and "password authentication failed" in str(each):
                    known = _POSTGRESQL["28P01"]  # PgBouncer says so with a general SQLSTATE
            case "mysql":
                number = each.args[0] if each.args and not isinstance(each, OSError) else None
                known = _MYSQL.get(number) if isinstance(number, int) else None
            case _:
                known = next((meaning for text, meaning in _SQLITE.items() if text in str(each)), None)
        if known is not None:
            return known
    if any(isinstance(each, OSError) for each in _chain(error)):
        return _NO_FILE if backend == "sqlite" else _NOBODY_ANSWERS
    return _BROKEN if is_broken_connection(error) else None


def _words(error: BaseException) -> str:
    """The driver's own words, without SQL, parameters, and what a nested error repeats."""
    cause = list(_chain(error))[-1]
    numbered = len(cause.args) > 1 and isinstance(cause.args[0], int)
    said = cause.args[1] if numbered else cause
    return str(said).strip().split("\n", maxsplit=1)[0].strip().rstrip(".")


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = getattr(seen, "orig", None) or seen.__cause__
