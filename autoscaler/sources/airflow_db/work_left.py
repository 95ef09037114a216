"""How long running tasks are likely to go on, by what the same tasks took before.

It only helps to choose who leaves first, so it must never cost a reading: it has a deadline of its own, what
was read of a task is kept for minutes, and after a failure nobody asks for as long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean
from typing import Protocol

import anyio
import structlog

from autoscaler.ports import SourceError
from autoscaler.sources.airflow_db import statements
from autoscaler.sources.airflow_db.connection import Answer, Session, Work
from autoscaler.sources.airflow_db.reading import read_schema, rows_of
from autoscaler.sources.airflow_db.snapshot import UNKNOWN_HOST, WorkRow

KEPT_SECONDS = 600.0
MOST_TASKS_A_LOOK = 10
"""So many tasks' pasts are read at a time, the most frequent first: some milliseconds."""
MOST_RUNNING = 2_000
"""Of more running tasks nobody is told anything."""
RECENT = 20
"""So many of a task's last successes are averaged ..."""
TRIES = 50
"""... and among so many of its last runs they are looked for."""
DEADLINE_SECONDS = 1.0

NAN = float("nan")
Task = tuple[str, str]
"""A DAG and a task of it."""

log = structlog.get_logger()


class Runs(Protocol):
    """`AirflowDatabase.transaction`."""

    def __call__(self, work: Work[Answer], /) -> Awaitable[Answer]:
        """What the work returns."""


@dataclass(slots=True)
class Pasts:
    """What is known of the running tasks' pasts."""

    now: Callable[[], float] = anyio.current_time
    _mean: dict[Task, tuple[float, float]] = field(default_factory=dict)
    """(when to read it again, mean seconds)."""
    _silent_until: float = float("-inf")

    async def work_left(self, transaction: Runs) -> tuple[WorkRow, ...]:
        """A row a running task; none at all where that cannot be read."""
        now = self.now()
        if now < self._silent_until:
            return ()
        why = f"no answer within {DEADLINE_SECONDS:g} s"
        with anyio.move_on_after(DEADLINE_SECONDS):
            try:
                return await transaction(partial(self._read, now=now))
            except SourceError as error:
                why = str(error)
        self._silent_until = now + KEPT_SECONDS
        log.warning("work left unknown", why=why, asked_again_seconds=KEPT_SECONDS)
        return ()

    async def _read(self, session: Session, *, now: float) -> tuple[WorkRow, ...]:
        schema = await read_schema(session)
        running = await rows_of(session, statements.running(schema, MOST_RUNNING + 1))
        if len(running) > MOST_RUNNING:
            return ()
        self._mean = {task: kept for task, kept in self._mean.items() if kept[0] > now}
        unknown = Counter((dag, task) for *_, dag, task, _ in running if (dag, task) not in self._mean)
        for task, _ in unknown.most_common(MOST_TASKS_A_LOOK):
            self._mean[task] = now + KEPT_SECONDS, await _mean_seconds(session, task)
        return tuple(
            WorkRow(host or UNKNOWN_HOST, queue, executor, self._left((dag, task), age))
            for host, queue, executor, dag, task, age in running
        )

    def _left(self, task: Task, age_seconds: float | None) -> float:
        """NaN: it has no past, or has gone on for longer than it did before."""
        if age_seconds is None or task not in self._mean:
            return NAN
        left = self._mean[task][1] - float(age_seconds)
        return left if left >= 0 else NAN


async def _mean_seconds(session: Session, task: Task) -> float:
    tries = await rows_of(session, statements.last_tries(*task, TRIES))
    took = [float(seconds) for state, seconds in tries if state == "success" and seconds is not None]
    return fmean(took[:RECENT]) if took else NAN
