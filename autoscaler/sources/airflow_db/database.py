"""Airflow's metadata database as a source of demand and a witness of who is busy."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial

import anyio

from autoscaler.ports import SourceError
from autoscaler.sources.airflow_db.connection import Answer, Connector, Timeouts, Work
from autoscaler.sources.airflow_db.credentials import Credentials
from autoscaler.sources.airflow_db.reading import Limits, read
from autoscaler.sources.airflow_db.snapshot import Queues, Snapshot, WorkRow
from autoscaler.sources.airflow_db.work_left import Pasts
from policies.model import Busy, Demand

SETTLE_SECONDS = 60.0
"""Tasks send a heartbeat every few seconds, so after an outage the living ones are heard by then."""

DEFAULT_LIMITS = Limits()
DEFAULT_TIMEOUTS = Timeouts()


@dataclass(slots=True)
class _Flight:
    """A reading under way or done, shared by everybody who asks meanwhile and shortly after."""

    started_at: float
    landed: anyio.Event = field(default_factory=anyio.Event)
    outcome: Snapshot | SourceError | None = None
    """None after landing: whoever read was cancelled."""


class AirflowDatabase:
    """Reads the database for all targets at once, over one connection; `aclose` it at the end.

    `clock` gives Unix seconds for `measured_at`.  Callers within `max_age_seconds` share one reading,
    and one failure.  For `settle_seconds` after a start or a failure a reading with phantoms is not
    whole.  Runs on asyncio, because the drivers do.
    """

    def __init__(
        self,
        credentials: Credentials,
        clock: Callable[[], float],
        *,
        limits: Limits = DEFAULT_LIMITS,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        celery_executors: Collection[str] = ("CeleryExecutor",),
        max_age_seconds: float = 1.0,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self.limits = limits
        self._clock = clock
        self._connector = Connector(credentials, timeouts)
        self._celery_executors = frozenset(celery_executors)
        self._max_age_seconds = max_age_seconds
        self._settle_seconds = settle_seconds
        self._turn = anyio.Lock()
        self._flight: _Flight | None = None
        self._steady_since: float | None = None
        self._pasts = Pasts()

    def target(self, queues: frozenset[str] | None = None, *, tells_work_left: bool = False) -> AirflowTarget:
        """The view of one target: its queues, or all.

        `tells_work_left`: whether its witness also says what the running tasks' pasts let expect.
        """
        return AirflowTarget(self, queues, tells_work_left)

    async def snapshot(self) -> Snapshot:
        """The database now, or at most `max_age_seconds` ago.  Raises `SourceError`."""
        while (flight := self._flight) is not None and not self._outdated(flight):
            await flight.landed.wait()
            match flight.outcome:
                case Snapshot():
                    return flight.outcome
                case SourceError():
                    raise SourceError(str(flight.outcome))
            # Its reader was cancelled: whoever comes first reads for the others.
        return await self._fly()

    async def work_left(self) -> tuple[WorkRow, ...]:
        """How long each running task is expected to go on; nothing where that cannot be read."""
        return await self._pasts.work_left(self.transaction)

    async def transaction(self, work: Work[Answer]) -> Answer:
        """What the work returns, from within a transaction of its own.  Raises `SourceError`."""
        async with self._turn:
            return await self._connector.run(work)

    async def aclose(self) -> None:
        """Ends the connection; a later reading opens a new one."""
        await self._connector.aclose()

    def _outdated(self, flight: _Flight) -> bool:
        return flight.landed.is_set() and anyio.current_time() - flight.started_at > self._max_age_seconds

    async def _fly(self) -> Snapshot:
        flight = self._flight = _Flight(anyio.current_time())
        try:
            flight.outcome = snapshot = await self._read()
        except SourceError as error:
            flight.outcome = error
            raise
        finally:
            if flight.outcome is None:
                self._flight = None
            flight.landed.set()
        return snapshot

    async def _read(self) -> Snapshot:
        measured_at = self._clock()
        try:
            reading = await self.transaction(partial(read, limits=self.limits))
        except SourceError:
            self._steady_since = None
            raise
        now = anyio.current_time()
        if self._steady_since is None:
            self._steady_since = now
        return Snapshot(
            measured_at,
            reading.schema,
            reading.schedulers,
            reading.load,
            reading.busy,
            settled=now - self._steady_since >= self._settle_seconds,
            celery_executors=self._celery_executors,
        )


@dataclass(frozen=True, slots=True)
class AirflowTarget:
    """One target's view of the database: its source of demand, and its witness of who is busy."""

    database: AirflowDatabase
    queues: Queues = None
    tells_work_left: bool = False

    async def demand(self) -> Demand:
        """The load of the target's queues.  Raises `SourceError`."""
        return (await self.database.snapshot()).demand(self.queues)

    async def busy(self) -> Busy:
        """Slots held by tasks of the target's queues, by host.  Raises `SourceError`."""
        snapshot = await self.database.snapshot()
        work = await self.database.work_left() if self.tells_work_left and snapshot.busy else ()
        return snapshot.busy_slots(self.queues, work)
