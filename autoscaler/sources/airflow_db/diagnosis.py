"""What `autoscaler check` says of the database: one finding each, with a remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from autoscaler.findings import Finding
from autoscaler.ports import SourceError
from autoscaler.sources.airflow_db import statements
from autoscaler.sources.airflow_db.connection import Session
from autoscaler.sources.airflow_db.database import AirflowDatabase
from autoscaler.sources.airflow_db.reading import live_schedulers, read_schema, require_primary
from autoscaler.sources.airflow_db.snapshot import Queues, Snapshot

TABLES = ("job", "task_instance")
"""All that the daemon reads."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the configuration says of one target."""

    name: str
    slots_per_worker: int
    max_workers: int
    queues: Queues = None


async def diagnose(
    database: AirflowDatabase, expectations: Sequence[Expectation] = (), parallelism: int | None = None
) -> list[Finding]:
    """Everything that can be told by reading; stops early only where nothing answers.  Never raises.

    `parallelism` is Airflow's `[core] parallelism`, a limit per scheduler; None: unknown.
    """
    place = await _place(database)
    if isinstance(place, Finding):
        return [place]
    findings = [Finding(ok=True, what=f"{place}: reachable")]
    findings += [await _readable(database, table) for table in TABLES]
    findings.append(await _primary(database))
    if not all(finding.ok for finding in findings):
        return findings
    findings += [await _version(database), await _schedulers(database)]
    if not all(finding.ok for finding in findings):
        return findings
    try:
        snapshot = await database.snapshot()
    except SourceError as error:
        return [*findings, _failed(error)]
    findings += [_slots(snapshot, expectation) for expectation in expectations]
    if expectations and parallelism is not None:
        findings.append(_parallelism(snapshot, expectations, parallelism))
    return findings


async def _place(database: AirflowDatabase) -> str | Finding:
    async def work(session: Session) -> str:
        return session.address.place

    try:
        return await database.transaction(work)
    except SourceError as error:
        return _failed(error)


async def _readable(database: AirflowDatabase, table: str) -> Finding:
    async def work(session: Session) -> None:
        session.table = table
        await session.connection.execute(statements.columns_of(table))

    try:
        await database.transaction(work)
    except SourceError as error:
        return _failed(error)
    return Finding(ok=True, what=f"table {table} may be read")


async def _primary(database: AirflowDatabase) -> Finding:
    try:
        await database.transaction(require_primary)
    except SourceError as error:
        return _failed(error)
    return Finding(ok=True, what="this is the primary, not a replica")


async def _version(database: AirflowDatabase) -> Finding:
    try:
        schema = await database.transaction(read_schema)
    except SourceError as error:
        return _failed(error)
    return Finding(ok=True, what=f"the schema is that of {schema}")


async def _schedulers(database: AirflowDatabase) -> Finding:
    age = database.limits.heartbeat_max_age_seconds
    try:
        count = await database.transaction(partial(live_schedulers, max_age_seconds=age))
    except SourceError as error:
        return _failed(error)
    return Finding(ok=True, what=f"schedulers alive: {count}")


def _slots(snapshot: Snapshot, expectation: Expectation) -> Finding:
    host, slots = snapshot.most_slots(expectation.queues)
    expected = expectation.slots_per_worker
    if slots > expected:
        return Finding(
            ok=False,
            what=f"targets.{expectation.name}: {slots} tasks run on {host}, slots_per_worker is {expected}",
            remedy="set slots_per_worker to the workers' [celery] worker_concurrency; if several workers "
            "share that host name, give each its own ([core] hostname_callable)",
        )
    seen = f"at most {slots} tasks run on one host now" if slots else "no task runs now to compare with"
    return Finding(ok=True, what=f"targets.{expectation.name}: slots_per_worker is {expected}, {seen}")


def _parallelism(snapshot: Snapshot, expectations: Sequence[Expectation], parallelism: int) -> Finding:
    allowed = snapshot.schedulers * parallelism
    wanted = sum(each.max_workers * each.slots_per_worker for each in expectations)
    what = (
        f"{snapshot.schedulers} schedulers x parallelism {parallelism} let Airflow run {allowed} tasks, "
        f"the workers {wanted}"
    )
    if allowed < wanted:
        needed = -(-wanted // snapshot.schedulers)
        return Finding(False, what, f"set [core] parallelism to at least {needed}, or lower max_workers")
    return Finding(ok=True, what=what)


def _failed(error: SourceError) -> Finding:
    what, _, remedy = str(error).partition("; ")
    return Finding(ok=False, what=what, remedy=remedy)
