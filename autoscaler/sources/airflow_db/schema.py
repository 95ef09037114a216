"""Which Airflow wrote this database, told from the columns it has."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum

from autoscaler.ports import SourceError

OLDEST = "2.5"


class Generation(IntEnum):
    """Where a task's heartbeat is kept."""

    AIRFLOW_2 = 2
    AIRFLOW_3 = 3


_NEEDED = frozenset({"state", "queue", "hostname", "queued_dttm", "start_date"})
_SINCE_2_5 = "updated_at"
_SINCE_2_10 = "executor"
_UNTIL_2 = "job_id"
_SINCE_3 = "last_heartbeat_at"


@dataclass(frozen=True, slots=True)
class Schema:
    """What the queries must know of Airflow's version."""

    generation: Generation
    has_executor: bool
    """Each task may name its own executor (Airflow 2.10 and later)."""

    def __str__(self) -> str:
        if self.generation is Generation.AIRFLOW_3:
            return "Airflow 3"
        return "Airflow 2.10 or 2.11" if self.has_executor else "Airflow 2.5 to 2.9"


def recognised(columns: Collection[str]) -> Schema:
    """The schema with these columns of `task_instance`.  Raises `SourceError` for an unknown one."""
    present = frozenset(columns)
    if missing := sorted(_NEEDED - present):
        raise SourceError(
            f"task_instance has no column {', '.join(missing)}; "
            f"check that the URL names the database of an Airflow {OLDEST} or later"
        )
    has_executor = _SINCE_2_10 in present
    if _SINCE_3 in present and _UNTIL_2 not in present and has_executor:
        return Schema(Generation.AIRFLOW_3, has_executor=True)
    if _UNTIL_2 in present and _SINCE_3 not in present:
        if _SINCE_2_5 not in present:
            raise SourceError(
                f"this Airflow is older than {OLDEST}: upgrade Airflow, or use the StatsD source"
            )
        return Schema(Generation.AIRFLOW_2, has_executor=has_executor)
    raise SourceError(
        "task_instance has the columns of no Airflow release known here (2.5 to 3.x); "
        "if a migration is under way wait for its end, else use the StatsD source"
    )
