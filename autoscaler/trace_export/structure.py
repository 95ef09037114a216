"""Who waits for whom, from the DAG as Airflow serialises it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any


@dataclass(frozen=True, slots=True)
class Structure:
    """The tasks of one DAG in an order in which parents come first."""

    parents: Mapping[str, tuple[str, ...]]
    order: tuple[str, ...]
    mapped_group: Mapping[str, str] = field(default_factory=dict)
    """The mapped task group a task is in: there a task waits for the parent of its own index alone."""
    rescheduled: frozenset[str] = frozenset()
    """Sensors that give their slot back between two looks."""


def document_of(data: Any, compressed: bytes | None) -> Any:
    """The JSON document, wherever the database keeps it.  Raises `ValueError`."""
    if data is None and compressed is not None:
        try:
            data = zlib.decompress(compressed)
        except zlib.error as error:
            raise ValueError(f"not zlib data: {error}") from None
    return json.loads(data) if isinstance(data, str | bytes | bytearray) else data


def structure_of(document: Any) -> Structure:
    """The structure a serialized DAG (Airflow 2.5 to 3.3) tells.  Raises `ValueError` if it tells none."""
    try:
        dag = document["dag"]
        tasks = [task.get("__var", task) for task in dag["tasks"]]
        below = {task["task_id"]: task.get("downstream_task_ids") or () for task in tasks}
        parents: dict[str, list[str]] = {task: [] for task in below}
        for task, children in below.items():
            for child in children:
                parents[child].append(task)
        order = tuple(TopologicalSorter(parents).static_order())
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no serialized DAG: {type(error).__name__} {error}") from None
    except CycleError:
        raise ValueError("its tasks wait for each other in a ring") from None
    group = dag.get("task_group") or dag.get("_task_group") or {}
    return Structure(
        parents={task: tuple(sorted(above)) for task, above in parents.items()},
        order=order,
        mapped_group=dict(_mapped(group, None)),
        rescheduled=frozenset(task["task_id"] for task in tasks if _mode(task) == "reschedule"),
    )


def _mode(task: Mapping[str, Any]) -> Any:
    return task.get("mode") or (task.get("partial_kwargs") or {}).get("mode")


def _mapped(group: Mapping[str, Any], around: str | None) -> Iterator[tuple[str, str]]:
    """(task, innermost mapped group around it)."""
    around = str(group.get("_group_id")) if group.get("is_mapped") else around
    for name, (kind, child) in (group.get("children") or {}).items():
        if kind == "taskgroup":
            yield from _mapped(child.get("__var", child), around)
        elif around is not None:
            yield (child if isinstance(child, str) else name), around
