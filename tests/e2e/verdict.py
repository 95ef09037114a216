"""What became of the tasks: counted where they ran, and compared with what Airflow believes."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.airflow import Airflow

TASKS = """
SELECT dag_id, run_id, task_id, map_index, state, try_number
FROM task_instance
"""


@dataclass(frozen=True)
class Counts:
    """The fate of the tasks of some DAG runs."""

    tasks: int
    """That Airflow knows of."""
    succeeded: int
    """At their first try, says Airflow."""
    once: int
    """That began once and ended once, where they ran."""
    repeated: int
    """That began more than once."""
    interrupted: tuple[str, ...]
    """Each beginning without an end."""
    odd: tuple[str, ...] = ()
    """What became of each task that is not as it should be."""

    @property
    def perfect(self) -> bool:
        """Whether every task ran exactly once to success."""
        return self.tasks > 0 and self.tasks == self.succeeded == self.once

    def __str__(self) -> str:
        parts = [f"{self.tasks} tasks", f"{self.succeeded} succeeded at the first try"]
        parts += [f"{self.once} ran exactly once", f"{self.repeated} began again"]
        return ", ".join([*parts, f"{len(self.interrupted)} were interrupted"])


async def counted(airflow: Airflow, runs: Sequence[str]) -> Counts:
    """The tasks of these runs."""
    rows = [row for row in await airflow.query(TASKS) if row["run_id"] in runs]
    begun, ended = marked(airflow.marks)
    tasks = {f"{row['dag_id']} {row['run_id']} {row['task_id']} {row['map_index']}": row for row in rows}
    fine = {key for key, row in tasks.items() if row["state"] == "success" and row["try_number"] == 1}
    once = {key for key in tasks if begun[key] == ended[key] == 1}
    return Counts(
        tasks=len(rows),
        succeeded=len(fine),
        once=len(once),
        repeated=sum(begun[key] > 1 for key in tasks),
        interrupted=tuple(sorted(key for key in tasks if begun[key] > ended[key])),
        odd=tuple(
            f"{key}: {tasks[key]['state']} at try {tasks[key]['try_number']}, "
            f"began {begun[key]} and ended {ended[key]} times"
            for key in sorted(tasks.keys() - (fine & once))
        ),
    )


def interrupted(folder: Path, run: str) -> list[str]:
    """The run's tasks that have begun and not ended."""
    begun, ended = marked(folder)
    return sorted(key for key in begun if key.split()[1] == run and begun[key] > ended[key])


def marks_in(folder: Path) -> list[dict[str, Any]]:
    """What the tasks have written."""
    path = folder / "marks"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def marked(folder: Path) -> tuple[Counter[str], Counter[str]]:
    """How often each task has begun and ended."""
    marks = marks_in(folder)
    begun = Counter(mark["task"] for mark in marks if mark["what"] == "begin")
    return begun, Counter(mark["task"] for mark in marks if mark["what"] == "end")
