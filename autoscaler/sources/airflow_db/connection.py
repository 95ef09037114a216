"""One connection to the database, renewed with fresh credentials after every failure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import anyio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from autoscaler.ports import SourceError
from autoscaler.sources.airflow_db.address import Address, parse
from autoscaler.sources.airflow_db.credentials import Credentials
from autoscaler.sources.airflow_db.errors import is_broken_connection, translated

Answer = TypeVar("Answer")

GRACE_SECONDS = 1.0
"""The server gives a statement up first and says why; only a dead server makes us do it."""
CLOSE_SECONDS = 0.5
"""Saying good-bye to a server that may be dead; then the socket is simply closed."""


class ConnectionBrokenError(SourceError):
    """The connection died, so a new one may well succeed at once."""


@dataclass(slots=True)
class Session:
    """An open transaction, and the table it is reading, which its errors name."""

    connection: AsyncConnection
    address: Address
    table: str = "job"

    @property
    def backend(self) -> str:
        """`postgresql`, `mysql` or `sqlite`."""
        return self.address.backend


Work = Callable[[Session], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long the server may take."""

    connect_seconds: float = 5.0
    """From asking for the credentials to an open connection."""
    statement_seconds: float = 5.0
    """One statement by the server's watch; also, with a second's grace, a whole transaction by ours."""


class Connector:
    """Runs one transaction at a time on one connection.

    A connection that was open and turns out dead is replaced at once.  Any failure closes it, and the
    next transaction asks for the credentials anew: a rotated password or a failover costs some
    readings and no restart.
    """

    def __init__(self, credentials: Credentials, timeouts: Timeouts) -> None:
        self._credentials = credentials
        self._timeouts = timeouts
        self._open: tuple[AsyncConnection, Address] | None = None

    async def run(self, work: Work[Answer]) -> Answer:
        """What the work returns, from within one read-only transaction.  Raises `SourceError`."""
        reused = self._open is not None
        try:
            return await self._attempt(work)
        except ConnectionBrokenError:
            if not reused:
                raise
        return await self._attempt(work)

    async def aclose(self) -> None:
        """Ends the connection, gracefully if the server answers."""
        opened, self._open = self._open, None
        if opened is not None:
            # Shielded: also a cancelled reading must leave nothing open behind.
            with anyio.move_on_after(CLOSE_SECONDS, shield=True), suppress(Exception):
                await opened[0].invalidate()
            with anyio.move_on_after(CLOSE_SECONDS, shield=True), suppress(Exception):
                await opened[0].close()

    async def _attempt(self, work: Work[Answer]) -> Answer:
        try:
            if self._open is None:
                self._open = await self._connected()
            return await self._transaction(*self._open, work)
        except BaseException:
            await self.aclose()
            raise

    async def _connected(self) -> tuple[AsyncConnection, Address]:
        limit = self._timeouts.connect_seconds
        address: Address | None = None
        try:
            with anyio.move_on_after(limit):
                address = parse(await self._credentials())
                return await _connect(address, self._timeouts.statement_seconds), address
        except SourceError:
            raise
        except Exception as error:  # noqa: BLE001 - drivers let much more out than their own errors
            assert address is not None, "credentials raise nothing but SourceError"
            raise translated(error, address, "job", limit) from None
        if address is None:
            raise SourceError(f"the database's credentials could not be had within {limit:g} s")
        raise SourceError(
            f"{address.place}: no connection within {limit:g} s; check host, port and security groups"
        )

    async def _transaction(self, connection: AsyncConnection, address: Address, work: Work[Answer]) -> Answer:
        limit = self._timeouts.statement_seconds + GRACE_SECONDS
        session = Session(connection, address)
        try:
            with anyio.move_on_after(limit):
                async with connection.begin():
                    await self._limit_statements(session)
                    return await work(session)
        except SourceError:
            raise
        except Exception as error:  # noqa: BLE001 - drivers let much more out than their own errors
            said = translated(error, address, session.table, self._timeouts.statement_seconds)
            raise (ConnectionBrokenError(str(said)) if is_broken_connection(error) else said) from None
        raise SourceError(
            f"{address.place}: no answer within {limit:g} s while reading {session.table}; "
            "see whether the database is overloaded or locked"
        )

    async def _limit_statements(self, session: Session) -> None:
        if session.backend == "postgresql":
            # For this transaction only: behind PgBouncer the session belongs to everybody.
            milliseconds = max(1, round(self._timeouts.statement_seconds * 1000))
            await session.connection.execute(sa.text(f"SET LOCAL statement_timeout = {milliseconds}"))


async def _connect(address: Address, statement_seconds: float) -> AsyncConnection:
    if address.backend == "sqlite":
        # Looked at first, because aiosqlite's thread may outlive the event loop after a failed opening.
        async with await anyio.open_file(address.place.removeprefix("sqlite:///"), "rb"):
            pass
    # hide_parameters and NullPool: nothing of a row in an error, and no second connection ever.
    engine = create_async_engine(
        address.url, connect_args=dict(address.connect_args), poolclass=NullPool, hide_parameters=True
    )
    connection = await engine.connect()
    if address.backend == "postgresql":
        # One consistent picture over all queries of a transaction, and no write by any accident.
        return await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    if address.backend == "mysql":
        mariadb = bool(getattr(connection.dialect, "is_mariadb", False))
        limit = (
            f"max_statement_time = {statement_seconds:.3f}"
            if mariadb
            else f"max_execution_time = {max(1, round(statement_seconds * 1000))}"
        )
        async with connection.begin():
            await connection.execute(sa.text(f"SET SESSION time_zone = '+00:00', SESSION {limit}"))
    return connection
