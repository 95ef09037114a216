"""A lease that is a lock of one database session: it ends when the session does, whoever ends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import anyio
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from autoscaler.lease.locks import Lock, MysqlLock, PostgresLock
from autoscaler.ports import Leads, LeaseError, LeaseLostError, SourceError, StandsBy
from autoscaler.sources.airflow_db.address import Address, parse
from autoscaler.sources.airflow_db.connection import Session
from autoscaler.sources.airflow_db.credentials import Credentials
from autoscaler.sources.airflow_db.errors import translated
from autoscaler.sources.airflow_db.reading import require_primary

CLOSE_SECONDS = 0.5
"""Saying good-bye to a server that may be dead; then the socket is simply closed."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class _Opened:
    connection: AsyncConnection
    address: Address
    lock: Lock


class DatabaseLease:
    """Asked over one session that is kept open.

    The server ends a session that was silent for `expiry_seconds`.  Whatever fails closes it here too,
    so that there is no doubt about the lock; the next `acquire` logs in anew, with fresh credentials.
    """

    def __init__(self, credentials: Credentials, name: str, owner: str, expiry_seconds: float) -> None:
        self._credentials = credentials
        self._name = name
        self._owner = owner
        self._expiry_seconds = expiry_seconds
        self._opened: _Opened | None = None
        self._epoch: int | None = None
        self._turn = anyio.Lock()

    async def acquire(self) -> Leads | StandsBy:
        async with self._turn:
            if self._epoch is not None:
                await self._give_up()
            return await self._asked(self._standing)

    async def confirm(self, epoch: int) -> None:
        async with self._turn:
            if self._opened is None or self._epoch != epoch:
                raise LeaseLostError("the lease's database session is over")
            try:
                held = await self._asked(lambda opened: opened.lock.is_held(opened.connection))
            except LeaseError as error:
                raise LeaseLostError(f"the lease's database session broke: {error}") from None
            if not held:
                await self._close()
                raise LeaseLostError("the lease's lock is not held by its database session any more")

    async def look(self) -> str:
        async with self._turn:
            return await self._asked(lambda opened: opened.lock.holder(opened.connection))

    async def release(self) -> None:
        async with self._turn:
            await self._give_up()

    async def _standing(self, opened: _Opened) -> Leads | StandsBy:
        connection, lock = opened.connection, opened.lock
        if not await lock.taken(connection):
            return StandsBy(await lock.holder(connection))
        epoch = await lock.epoch(connection)
        self._epoch = epoch
        return Leads(epoch)

    async def _asked(self, ask: Callable[[_Opened], Awaitable[Answer]]) -> Answer:
        """The answer; whatever goes wrong, a cancellation included, ends the session."""
        address: Address | None = None
        try:
            if self._opened is None:
                address = parse(await self._credentials())
                await self._open(address)
            assert self._opened is not None, "it was opened"
            address = self._opened.address
            return await ask(self._opened)
        except BaseException as error:
            await self._close()
            if isinstance(error, LeaseError) or not isinstance(error, Exception):
                raise
            if isinstance(error, SourceError) or address is None:
                raise LeaseError(str(error)) from None
            raise LeaseError(str(translated(error, address, "pg_locks", self._expiry_seconds))) from None

    async def _open(self, address: Address) -> None:
        locks: dict[str, type[PostgresLock | MysqlLock]] = {"postgresql": PostgresLock, "mysql": MysqlLock}
        if address.backend not in locks:
            raise LeaseError(
                f"{address.place}: a lease needs PostgreSQL, MySQL or MariaDB; use lease.kind file"
            )
        lock = locks[address.backend](self._name)
        engine = create_async_engine(
            address.url,
            connect_args=dict(address.connect_args),
            poolclass=NullPool,
            hide_parameters=True,
            isolation_level="AUTOCOMMIT",  # a silent session must not be one inside a transaction
        )
        connection = await engine.connect()
        self._opened = _Opened(connection, address, lock)  # from here on closed, whatever comes
        await require_primary(Session(connection, address))
        if not await lock.is_direct(connection):
            raise LeaseError(
                f"{address.place}: a pooler or proxy is in the way, and a lock taken through it belongs to "
                "whoever it lends the session to; set lease.database_url to the database's own address"
            )
        await lock.prepare(connection, self._owner, self._expiry_seconds)

    async def _give_up(self) -> None:
        # Asked for, because a server takes its time to notice that a session was closed.
        if self._epoch is not None and (opened := self._opened) is not None:
            with anyio.move_on_after(CLOSE_SECONDS, shield=True), suppress(Exception):
                await opened.lock.free(opened.connection)
        await self._close()

    async def _close(self) -> None:
        opened, self._opened, self._epoch = self._opened, None, None
        if opened is not None:
            # Shielded: also a cancelled question must leave nothing open behind.
            with anyio.move_on_after(CLOSE_SECONDS, shield=True), suppress(Exception):
                await opened.connection.invalidate()
            with anyio.move_on_after(CLOSE_SECONDS, shield=True), suppress(Exception):
                await opened.connection.close()
