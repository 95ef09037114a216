"""Reads the tries of a time window out of the database, a page of DAG runs at a time.

Every page is one short read-only transaction with a statement timeout, so an export of a year holds
nothing up: no lock, no long snapshot that would keep PostgreSQL from vacuuming, no idle cursor.  A page
and its rows are all that is ever in memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from autoscaler.ports import SourceError
from autoscaler.sources.airflow_db.connection import Connector, Session, Timeouts
from autoscaler.sources.airflow_db.credentials import Credentials
from autoscaler.sources.airflow_db.schema import Generation, recognised
from autoscaler.sources.airflow_db.statements import columns_of
from autoscaler.trace_export import statements
from autoscaler.trace_export.assemble import Assembler, Try
from autoscaler.trace_export.names import Names, plain
from autoscaler.trace_export.row import Run, Tally, TraceRow, Window
from autoscaler.trace_export.statements import HISTORY, TASKS
from autoscaler.trace_export.structure import Structure, document_of, structure_of

LOOK_RUNS = 20_000
"""DAG runs looked at by one query for those of the window: some milliseconds."""
PAGE_TRIES = 5_000
"""What a page should hold; the number of runs in one follows from the page before."""
KNOWN_STRUCTURES = 1_000
"""DAG versions kept in memory; some kilobytes each."""
EXPORT_TIMEOUTS = Timeouts(statement_seconds=30.0)
"""A page takes milliseconds where the indexes are; nobody waits for this, so it may be patient."""


@dataclass(frozen=True, slots=True)
class _Tables:
    """What this Airflow has."""

    columns: dict[str, tuple[str, ...]]
    airflow_2: bool

    @property
    def versioned(self) -> bool:
        """Whether a DAG has several serialised versions (Airflow 3)."""
        return "dag_version_id" in self.columns["serialized_dag"]


@dataclass(slots=True)
class Exporter:
    """Exports one window; `aclose` it at the end.  Runs on asyncio, because the drivers do."""

    credentials: Credentials
    window: Window
    names: Names = plain
    timeouts: Timeouts = EXPORT_TIMEOUTS
    celery_executors: Collection[str] = ("CeleryExecutor",)
    """Executors, besides the default one, whose tasks run on Celery workers."""
    look_runs: int = LOOK_RUNS
    page_tries: int = PAGE_TRIES
    tally: Tally = field(default_factory=Tally)
    _connector: Connector = field(init=False)
    _structures: dict[tuple[str, str | None], Structure | None] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._connector = Connector(self.credentials, self.timeouts)

    async def pages(
        self, on_progress: Callable[[int, int], None] | None = None
    ) -> AsyncIterator[list[TraceRow]]:
        """Rows in pages, those of one DAG run together.  `on_progress(done, total)` counts DAG runs.

        Raises `SourceError`; before the first page, for every right that is missing at once.
        """
        tables = await self._tables()
        await self._connector.run(self._read_pools)
        assembler = Assembler(
            self.window, self.names, self.tally, self.celery_executors, airflow_2=tables.airflow_2
        )
        lowest, highest = await self._connector.run(_run_numbers)
        size = 100
        for after in range(lowest - 1, highest, self.look_runs):
            last = min(after + self.look_runs, highest)
            runs = await self._connector.run(_Runs(after, last, self.window))
            while runs:
                page, runs = runs[:size], runs[size:]
                found = await self._connector.run(_Tries(tables, page))
                yield await self._rows(tables, assembler, page, found)
                if on_progress is not None:
                    on_progress(page[-1].number - lowest + 1, highest - lowest + 1)
                size = max(
                    1, min(1_000, size * self.page_tries // max(1 + self.page_tries // 10, len(found)))
                )
            if on_progress is not None:
                on_progress(last - lowest + 1, highest - lowest + 1)

    async def aclose(self) -> None:
        """Ends the connection."""
        await self._connector.aclose()

    async def _tables(self) -> _Tables:
        place = await self._connector.run(_place)
        columns: dict[str, tuple[str, ...]] = {}
        missing: dict[str, str] = {}
        for table in statements.TABLES:
            try:
                columns[table] = await self._connector.run(_Columns(table))
            except SourceError as error:
                missing[table] = str(error)
        try:
            schema = recognised(columns[TASKS]) if TASKS in columns else None
        except SourceError as error:
            raise SourceError(f"{place}: {error}") from None
        if schema is not None and not schema.has_executor:
            missing.pop(HISTORY, None)  # both came with 2.10
            columns.pop(HISTORY, None)
        if schema is None or missing:
            raise SourceError(*missing.values())
        return _Tables(columns, schema.generation is Generation.AIRFLOW_2)

    async def _read_pools(self, session: Session) -> None:
        session.table = "slot_pool"
        found = await session.connection.execute(statements.pools())
        self.tally.pools = {self.names("pool", name): slots for name, slots in found if slots is not None}

    async def _rows(
        self, tables: _Tables, assembler: Assembler, page: Sequence[Run], found: Iterable[tuple[Any, ...]]
    ) -> list[TraceRow]:
        tries: dict[int, dict[tuple[str, int, int], Try]] = defaultdict(dict)
        versions: dict[int, Any] = {}
        for number, *values in found:
            attempt = _try(values)
            # The current try may have been copied to the history already: it is read first, and wins.
            tries[number].setdefault((attempt.task, attempt.map_index, attempt.number), attempt)
            versions[number] = versions.get(number) or values[-1]
        rows: list[TraceRow] = []
        for run in page:
            if attempts := tries.get(run.number):
                structure = await self._structure(tables, run.dag, versions[run.number])
                rows += assembler.rows(run, attempts.values(), structure)
        return rows

    async def _structure(self, tables: _Tables, dag: str, version: Any) -> Structure | None:
        key = (dag, None if version is None else str(version))
        if key not in self._structures:
            if len(self._structures) >= KNOWN_STRUCTURES:
                del self._structures[next(iter(self._structures))]
            found = await self._connector.run(_Document(dag, version, versioned=tables.versioned))
            if isinstance(found, str):
                self.tally.unreadable_dags[self.names("dag", dag)] = found
            self._structures[key] = found if isinstance(found, Structure) else None
        return self._structures[key]


@dataclass(frozen=True, slots=True)
class _Columns:
    table: str

    async def __call__(self, session: Session) -> tuple[str, ...]:
        session.table = self.table
        result = await session.connection.execute(columns_of(self.table))
        names = tuple(result.keys())
        result.close()
        return names


async def _place(session: Session) -> str:
    return session.address.place


async def _run_numbers(session: Session) -> tuple[int, int]:
    session.table = "dag_run"
    lowest, highest = (await session.connection.execute(statements.run_numbers())).one()
    return (0, -1) if lowest is None else (int(lowest), int(highest))


@dataclass(frozen=True, slots=True)
class _Runs:
    after: int
    last: int
    window: Window

    async def __call__(self, session: Session) -> list[Run]:
        session.table = "dag_run"
        found = await session.connection.execute(statements.runs(self.after, self.last, self.window))
        return [
            Run(int(number), dag, run, str(run_type), *map(unix_seconds, instants))
            for number, dag, run, run_type, *instants in found
        ]


@dataclass(frozen=True, slots=True)
class _Tries:
    tables: _Tables
    runs: Sequence[Run]

    async def __call__(self, session: Session) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        for table in (TASKS, HISTORY):
            if (columns := self.tables.columns.get(table)) is not None:
                session.table = table
                query = statements.tries(table, columns, [run.number for run in self.runs])
                found += map(tuple, await session.connection.execute(query))
        return found


@dataclass(frozen=True, slots=True)
class _Document:
    dag: str
    version: Any
    versioned: bool

    async def __call__(self, session: Session) -> Structure | str | None:
        """What it tells, why it tells nothing, or None where there is no document."""
        session.table = "serialized_dag"
        query = statements.document(self.dag, self.version, versioned=self.versioned)
        row = (await session.connection.execute(query)).first()
        if row is None:
            return None
        try:
            return structure_of(document_of(*row))
        except ValueError as error:
            return str(error)


def _try(values: Sequence[Any]) -> Try:
    task, index, number, state, queued, scheduled, started, ended, *more = values
    queue, executor, pool, slots, priority, _version = more
    began = unix_seconds(started)
    assert began is not None, "the query leaves those out that never started"
    return Try(
        task,
        -1 if index is None else int(index),
        int(number or 1),
        state,
        unix_seconds(queued),
        unix_seconds(scheduled),
        began,
        unix_seconds(ended),
        queue,
        executor,
        pool,
        int(slots or 1),
        int(priority or 0),
    )


def unix_seconds(instant: datetime | str | None) -> float | None:
    """Unix seconds of what a driver gives: an instant, in UTC if it names no zone, or its text (SQLite)."""
    if instant is None:
        return None
    if isinstance(instant, str):
        instant = datetime.fromisoformat(instant)
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
