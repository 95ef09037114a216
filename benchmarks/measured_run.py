"""A measured run of a real Airflow as it lies in files: task tries, DAG runs, edges.

`tasks-NAME.csv` holds rows of task_instance and task_instance_history, `dagruns-NAME.csv` those of dag_run,
`edges-NAME.json` the downstream tasks of each task by DAG.  Times are in UTC; here they become seconds from
the run's zero, the moment its first DAG run was created.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class RunError(Exception):
    """A file that cannot be used; one line says which and why."""


@dataclass(frozen=True)
class Try:
    """One try of one task.  NaN-free: rows that never started are left out when read."""

    dag: str
    task: str
    run: str
    map_index: int
    number: int
    operator: str
    pool: str
    pool_slots: int
    priority: int
    queue: str
    host: str
    """Empty: it never reached a worker."""
    scheduled_at: float
    queued_at: float
    started_at: float
    ended_at: float

    @property
    def key(self) -> tuple[str, str, int, int]:
        """The same work in another run of the workload has the same key."""
        return self.run, self.task, self.map_index, self.number


@dataclass(frozen=True)
class MeasuredRun:
    name: str
    zero: float
    """Unix seconds."""
    tries: tuple[Try, ...]
    created_at: dict[str, float]
    """By DAG run."""
    parents: dict[tuple[str, str], tuple[str, ...]]
    """Of (dag, task)."""

    def worked(self) -> list[Try]:
        """The tries that ran on a worker."""
        return [each for each in self.tries if each.host]


def names_in(directory: Path) -> list[str]:
    """The runs of a directory.  Raises `RunError` if there is none."""
    names = sorted(path.stem.removeprefix("tasks-") for path in directory.glob("tasks-*.csv"))
    if not names:
        raise RunError(f"{directory}: no measured run; expected files named tasks-NAME.csv")
    return names


def read_run(directory: Path, name: str) -> MeasuredRun:
    """One run.  Raises `RunError`."""
    created = _created(directory / f"dagruns-{name}.csv")
    zero = min(created.values())
    tries = [each for each in _tries(directory / f"tasks-{name}.csv", zero) if each.run in created]
    # Seen twice, a try is the same try: a history row may repeat the live one.
    unique = {each.key: each for each in tries}
    offsets = {run: at - zero for run, at in created.items()}
    return MeasuredRun(
        name, zero, tuple(unique.values()), offsets, _parents(directory / f"edges-{name}.json")
    )


def _created(path: Path) -> dict[str, float]:
    """When each DAG run was created, in Unix seconds."""
    try:
        created = {row["run_id"]: instant(row["queued_at"]) for row in _rows(path, ("run_id", "queued_at"))}
    except RunError as error:
        raise RunError(f"{path}: {error}") from None
    if not created:
        raise RunError(f"{path}: holds no DAG run")
    return created


def _tries(path: Path, zero: float) -> list[Try]:
    """All that started and ended."""
    needed = ("dag_id", "task_id", "run_id", "scheduled_dttm", "start_date", "end_date")
    tries = []
    for number, row in enumerate(_rows(path, needed), start=1):
        if row["start_date"] and row["end_date"]:
            try:
                tries.append(_try(row, zero))
            except (RunError, ValueError) as error:
                raise RunError(f"{path}: row {number}: {error}") from None
    if not any(each.host for each in tries):
        raise RunError(f"{path}: holds no task that ran on a worker")
    return tries


def _parents(path: Path) -> dict[tuple[str, str], tuple[str, ...]]:
    """By (dag, task)."""
    parents = defaultdict(list)
    try:
        for dag, tasks in json.loads(_text(path)).items():
            for task, children in tasks.items():
                for child in children:
                    parents[dag, child].append(task)
    except (ValueError, TypeError, AttributeError):
        raise RunError(f"{path}: expected JSON such as {{dag: {{task: [downstream tasks]}}}}") from None
    return {key: tuple(tasks) for key, tasks in parents.items()}


def instant(text: str) -> float:
    """Unix seconds of an ISO time; without an offset it is in UTC.  Raises `RunError`."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise RunError(f"expected a time such as 2026-11-20 10:43:37+00:00, got {text!r}") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _try(row: dict[str, str], zero: float) -> Try:
    started = instant(row["start_date"]) - zero
    # What never reached a worker has neither.
    scheduled = instant(row["scheduled_dttm"]) - zero if row["scheduled_dttm"] else started
    queued = instant(row["queued_dttm"]) - zero if row.get("queued_dttm") else scheduled
    return Try(
        dag=row["dag_id"],
        task=row["task_id"],
        run=row["run_id"],
        map_index=int(row.get("map_index") or -1),
        number=int(row.get("try_number") or 1),
        operator=row.get("operator") or "",
        pool=row.get("pool") or "default_pool",
        pool_slots=int(row.get("pool_slots") or 1),
        priority=int(float(row.get("priority_weight") or 1)),
        queue=row.get("queue") or "default",
        host=row.get("hostname") or "",
        scheduled_at=scheduled,
        queued_at=queued,
        started_at=started,
        ended_at=instant(row["end_date"]) - zero,
    )


def _rows(path: Path, needed: tuple[str, ...]) -> list[dict[str, Any]]:
    rows = list(csv.DictReader(_text(path).splitlines()))
    missing = [column for column in needed if rows and column not in rows[0]]
    if missing:
        raise RunError(f"{path}: column {missing[0]} is missing")
    return rows


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RunError(f"{path}: is no UTF-8 text") from None
