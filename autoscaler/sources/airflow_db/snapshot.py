"""One reading of the whole database, and what it means for one target.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isnan
from typing import TypeVar

from autoscaler.sources.airflow_db.schema import Generation, Schema
from autoscaler.sources.airflow_db.statements import QUEUED, RUNNING, SCHEDULED
from policies.model import Busy, Demand

Queues = frozenset[str] | None
"""The queues that a target serves; None: all."""

SOURCE = "airflow_db"
UNKNOWN_HOST = "(no hostname)"
"""Stands for tasks that hold a slot on a host the database does not name."""

KUBERNETES_QUEUE = "kubernetes"
"""With the CeleryKubernetesExecutor of Airflow 2 tasks of this queue run elsewhere (its default name)."""


@dataclass(frozen=True, slots=True)
class LoadRow:
    """Tasks that have all of this in common."""

    queue: str | None
    executor: str | None
    state: str
    phantom: bool
    tasks: int
    wait_seconds: float
    """How long the oldest of them has been queued."""


@dataclass(frozen=True, slots=True)
class BusyRow:
    """Slots held on one host by tasks that have all of this in common."""

    host: str
    queue: str | None
    executor: str | None
    phantom: bool
    tasks: int


@dataclass(frozen=True, slots=True)
class WorkRow:
    """A running task."""

    host: str
    queue: str | None
    executor: str | None
    seconds: float
    """Until it is expected to have ended; NaN: unknown."""


Row = TypeVar("Row", LoadRow, BusyRow, WorkRow)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The database at one instant."""

    measured_at: float
    """Before the reading began, by the daemon's clock."""
    schema: Schema
    schedulers: int
    load: tuple[LoadRow, ...]
    busy: tuple[BusyRow, ...]
    settled: bool = True
    """False: so soon after a start or a failure that living tasks may look silent."""
    celery_executors: frozenset[str] = frozenset({"CeleryExecutor"})
    """Executors, besides the default one, whose tasks run on Celery workers."""

    def demand(self, queues: Queues = None) -> Demand:
        """The load of some queues.

        Phantoms are no load.  After a failure it takes a while until living tasks have sent a
        heartbeat again, so until then a reading with phantoms is not whole: it may not shrink anything.
        """
        tasks: Counter[str] = Counter()
        phantoms, wait_seconds = 0, 0.0
        for row in self._celery(self.load, queues):
            if row.phantom:
                phantoms += row.tasks
                continue
            tasks[row.state] += row.tasks
            if row.state == QUEUED:
                wait_seconds = max(wait_seconds, row.wait_seconds)
        return Demand(
            queued=float(tasks[QUEUED]),
            running=float(tasks[RUNNING]),
            measured_at=self.measured_at,
            oldest_wait_seconds=wait_seconds,
            scheduled=float(tasks[SCHEDULED]),
            phantoms=phantoms,
            schedulers=self.schedulers,
            whole=self.settled or not phantoms,
            source=SOURCE,
        )

    def busy_slots(self, queues: Queues = None, work: tuple[WorkRow, ...] = ()) -> Busy:
        """The slots held on each host by tasks of some queues, phantoms included, and their work left.

        A silent heartbeat is a suspicion, not a proof: the task may live on, and then losing its
        worker would lose its work.  So a phantom protects its host like any running task; it does so
        no longer than Airflow itself takes to fail it.
        """
        slots: Counter[str] = Counter()
        for row in self._celery(self.busy, queues):
            slots[row.host] += row.tasks
        left: dict[str, float] = {}
        for task in self._celery(work, queues):
            # One task of which nothing is known makes its host unknown.
            left[task.host] = max(
                left.get(task.host, 0.0), task.seconds, key=lambda each: (isnan(each), each)
            )
        return Busy(dict(slots), self.measured_at, left)

    def most_slots(self, queues: Queues = None) -> tuple[str, int]:
        """The host with the most living tasks, and their number; ("", 0) if none runs."""
        slots: Counter[str] = Counter()
        for row in self._celery(self.busy, queues):
            if not row.phantom and row.host != UNKNOWN_HOST:
                slots[row.host] += row.tasks
        return max(slots.items(), key=lambda item: (item[1], item[0]), default=("", 0))

    def _celery(self, rows: Iterable[Row], queues: Queues) -> Iterator[Row]:
        for row in rows:
            if (queues is None or row.queue in queues) and self._on_celery(row.executor, row.queue):
                yield row

    def _on_celery(self, executor: str | None, queue: str | None) -> bool:
        if not executor:
            return not (self.schema.generation is Generation.AIRFLOW_2 and queue == KUBERNETES_QUEUE)
        # A task may name its executor by class, by alias, or by the full import path of the class.
        return bool({executor, executor.rsplit(".", 1)[-1]} & self.celery_executors)
