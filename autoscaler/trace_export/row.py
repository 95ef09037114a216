"""What an export asks for, gives and counts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Window:
    """Tries that started in [since, until), Unix seconds."""

    since: float
    until: float

    def __contains__(self, instant: float) -> bool:
        return self.since <= instant < self.until


@dataclass(frozen=True, slots=True)
class Run:
    """One DAG run; instants are Unix seconds."""

    number: int
    """Its primary key."""
    dag: str
    run: str
    run_type: str
    queued_at: float | None
    started_at: float | None
    interval_start: float | None
    """For a scheduled run: since when Airflow has known that it will come."""


class TraceRow(NamedTuple):
    """One try of one task as a trace file shows it; the field names are the file's columns."""

    task_key: str
    queued_at: float
    """Unix seconds; with parents known the earliest start with unlimited workers."""
    duration_s: float
    slots: int
    """1; 0 of a try that ran without a worker: in the scheduler, or by another executor."""
    queue: str | None
    pool: str | None
    pool_slots: int
    priority: int
    group: str
    dag: str
    task: str
    run_type: str
    announced_at: float
    parents: str
    wait_s: float | None
    """From queued to started, as it was; None where Airflow did not keep it."""
    started_at: float
    """When it started, as it was; Unix seconds."""
    delay_s: float = 0.0
    """Of a retry: from the end of the try before until it was wanted again."""


def of_queues(rows: Sequence[TraceRow], queues: Collection[str]) -> list[TraceRow]:
    """The rows of these queues, given whole DAG runs; a parent in another queue drops out.

    Its child counts as never having waited for it, which is what `queued_at` says.
    """
    kept = [row for row in rows if row.queue in queues]
    keys = {row.task_key for row in kept}
    return [row._replace(parents=_those_in(keys, row.parents)) if row.parents else row for row in kept]


def _those_in(keys: Collection[str], parents: str) -> str:
    return ";".join(key for key in parents.split(";") if key in keys)


@dataclass(slots=True)
class Tally:
    """What the export saw, the rows it could not give included."""

    runs: int = 0
    tasks: int = 0
    still_running: int = 0
    """Started in the window and not ended: their durations are not known yet."""
    off_worker: int = 0
    """Ran in the scheduler, the triggerer or another executor: they took no worker's slot, and are rows of
    no slots."""
    without_parents: int = 0
    """Not in a serialized DAG: their `queued_at` is the recorded one, late arrivals included."""
    rescheduled: int = 0
    """Sensors in reschedule mode: Airflow keeps their last look only."""
    unreadable_dags: dict[str, str] = field(default_factory=dict)
    """DAG: why its serialized form was not understood; its tasks are `without_parents`."""
    pools: dict[str, int] = field(default_factory=dict)
    """Slots of each pool now; -1: unlimited."""
