"""A lock that belongs to a database session, in PostgreSQL's and in MySQL's words.

Any user that may log in can take one; nothing is written.
"""

from __future__ import annotations

import hashlib
from math import ceil
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from autoscaler.ports import LeaseError

OLDEST_POSTGRESQL = 140000
"""The first with `idle_session_timeout` (its release notes)."""


class Lock(Protocol):
    """One named lock, asked for over one session."""

    async def prepare(self, connection: AsyncConnection, owner: str, expiry_seconds: float) -> None:
        """Lets the server end the session when it is silent for so long.  Raises `LeaseError`."""
        ...

    async def is_direct(self, connection: AsyncConnection) -> bool:
        """Whether the server's session is the one that the driver opened: no pooler stands between."""
        ...

    async def taken(self, connection: AsyncConnection) -> bool:
        """Takes the lock unless another session has it."""
        ...

    async def epoch(self, connection: AsyncConnection) -> int:
        """A number that grows from one call to the next."""
        ...

    async def is_held(self, connection: AsyncConnection) -> bool:
        """Whether this very session has it."""
        ...

    async def holder(self, connection: AsyncConnection) -> str:
        """Who has it, as far as can be seen."""
        ...

    async def free(self, connection: AsyncConnection) -> None:
        """Gives it back."""
        ...


class PostgresLock:
    """An advisory lock; it belongs to one database of the server."""

    def __init__(self, name: str) -> None:
        # The two halves of its 64-bit key, as pg_locks shows them.
        self._high, self._low = (int.from_bytes(_digest(name)[at : at + 4], "big") for at in (0, 4))
        self._key = int.from_bytes(_digest(name)[:8], "big", signed=True)

    async def prepare(self, connection: AsyncConnection, owner: str, expiry_seconds: float) -> None:
        version = int(await _value(connection, "SELECT current_setting('server_version_num')"))
        if version < OLDEST_POSTGRESQL:
            raise LeaseError(
                f"this is PostgreSQL {version // 10000}, expected 14 or newer, which ends silent sessions; "
                "use lease.kind dynamodb or file"
            )
        settings = {
            "application_name": f"autoscaler {owner}",
            "idle_session_timeout": f"{max(1, round(1000 * expiry_seconds))}ms",
        }
        for setting, value in settings.items():
            await _value(
                connection, "SELECT set_config(:setting, :value, false)", setting=setting, value=value
            )

    async def is_direct(self, connection: AsyncConnection) -> bool:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        return bool(driver.get_server_pid() == await _value(connection, "SELECT pg_backend_pid()"))

    async def taken(self, connection: AsyncConnection) -> bool:
        return bool(await _value(connection, "SELECT pg_try_advisory_lock(:key)", key=self._key))

    async def epoch(self, connection: AsyncConnection) -> int:
        # The next transaction's number; a standby gives none out, so that nobody can lead on one.
        return int(await _value(connection, "SELECT CAST(pg_current_xact_id() AS text)"))

    async def is_held(self, connection: AsyncConnection) -> bool:
        return bool(
            await _value(connection, f"SELECT EXISTS ({self._sessions()} AND pid = pg_backend_pid())")
        )

    async def holder(self, connection: AsyncConnection) -> str:
        said = await _value(connection, self._sessions())
        return str(said or "").removeprefix("autoscaler ")

    async def free(self, connection: AsyncConnection) -> None:
        await _value(connection, "SELECT pg_advisory_unlock(:key)", key=self._key)

    def _sessions(self) -> str:
        return (
            "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) "  # noqa: S608 - numbers
            "WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND database = datid "
            f"AND datname = current_database() AND classid = {self._high} AND objid = {self._low}"
        )


class MysqlLock:
    """A user-level lock of MySQL or MariaDB; it belongs to the whole server."""

    def __init__(self, name: str) -> None:
        self._name = f"autoscaler-{_digest(name).hex()[:32]}"  # at most 64 characters are allowed

    async def prepare(self, connection: AsyncConnection, owner: str, expiry_seconds: float) -> None:
        # The time zone, because in a local one an hour comes twice.
        settings = f"wait_timeout = {ceil(expiry_seconds)}, time_zone = '+00:00'"
        await connection.execute(sa.text(f"SET SESSION {settings}"))

    async def is_direct(self, connection: AsyncConnection) -> bool:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        return bool(driver.thread_id() == await _value(connection, "SELECT CONNECTION_ID()"))

    async def taken(self, connection: AsyncConnection) -> bool:
        return bool(await _value(connection, "SELECT GET_LOCK(:name, 0) = 1", name=self._name))

    async def epoch(self, connection: AsyncConnection) -> int:
        # There is no number that every session may draw: the server's clock, in microseconds.
        microseconds = "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED)"
        return int(await _value(connection, microseconds))

    async def is_held(self, connection: AsyncConnection) -> bool:
        return bool(await _value(connection, "SELECT IS_USED_LOCK(:name) = CONNECTION_ID()", name=self._name))

    async def holder(self, connection: AsyncConnection) -> str:
        of_its_session = "SELECT host FROM information_schema.processlist WHERE id = IS_USED_LOCK(:name)"
        return str(await _value(connection, of_its_session, name=self._name) or "")

    async def free(self, connection: AsyncConnection) -> None:
        await _value(connection, "SELECT RELEASE_LOCK(:name)", name=self._name)


def _digest(name: str) -> bytes:
    return hashlib.sha256(f"airflow-worker-autoscaler {name}".encode()).digest()


async def _value(connection: AsyncConnection, statement: str, **parameters: Any) -> Any:
    return (await connection.execute(sa.text(statement), parameters)).scalar()
