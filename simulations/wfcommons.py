"""Workflow instances of WfCommons (WfFormat 1.3 to 1.5): tasks, who waits for whom, how long they ran.

https://github.com/wfcommons/WfFormat: since 1.4 `specification` holds the graph and `execution` the times.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from simulations.trace import LONGEST_SECONDS, TraceError


def workflow_rows(source: str, text: str) -> list[dict[str, object]]:
    """Rows of a trace; a task's `queued_at` is its earliest start.  Raises `TraceError`."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise TraceError(f"{source}: not JSON: {error}") from None
    except RecursionError:
        raise TraceError(f"{source}: expected a WfCommons workflow, got what is nested without end") from None
    try:
        workflow = document["workflow"]
        graph = workflow.get("specification", workflow)
        tasks = graph.get("tasks") or graph["jobs"]
        names = [str(task.get("id") or task["name"]) for task in tasks]
        ran = {str(task["id"]): task for task in workflow.get("execution", {}).get("tasks", ())}
        parents = dict(zip(names, _parents(source, tasks, names), strict=True))
        seconds = {
            name: _seconds(source, name, ran.get(name, task)) for name, task in zip(names, tasks, strict=True)
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise TraceError(
            f"{source}: expected a WfCommons workflow with tasks: {type(error).__name__} {error}"
        ) from None
    earliest = _earliest(source, parents, seconds)
    group = str(document.get("name") or source)
    return [
        {
            "task_key": name,
            "queued_at": earliest[name],
            "duration_s": seconds[name],
            "group": group,
            "task": str(task.get("name", name)),
            "parents": ";".join(parents[name]),
        }
        for name, task in zip(names, tasks, strict=True)
    ]


def _parents(source: str, tasks: list[dict[str, Any]], names: list[str]) -> list[list[str]]:
    """Of each task its parents' ids; older files name them by name."""
    by_name = {str(task.get("name")): name for task, name in zip(tasks, names, strict=True)}
    known, found = set(names), []
    for task, name in zip(tasks, names, strict=True):
        above = [str(parent) for parent in task.get("parents", ())]
        ids = [parent if parent in known else by_name.get(parent, "") for parent in above]
        if "" in ids:
            stranger = above[ids.index("")]
            raise TraceError(f"{source}: task {name!r}: its parent {stranger!r} is no task of this workflow")
        found.append(ids)
    return found


def _seconds(source: str, name: str, task: Mapping[str, Any]) -> float:
    for field in ("runtimeInSeconds", "runtime"):
        if field in task:
            value = task[field]
            if isinstance(value, int | float) and 0 <= value <= LONGEST_SECONDS:
                return float(value)
            raise TraceError(f"{source}: task {name!r}: expected {field} of 0 to 1e9, got {repr(value)[:60]}")
    raise TraceError(f"{source}: task {name!r}: has no runtimeInSeconds; expected a workflow that was run")


def _earliest(
    source: str, parents: Mapping[str, list[str]], seconds: Mapping[str, float]
) -> dict[str, float]:
    earliest: dict[str, float] = {}
    try:
        for name in TopologicalSorter(parents).static_order():
            earliest[name] = max((earliest[each] + seconds[each] for each in parents[name]), default=0.0)
    except CycleError as error:
        ring = " -> ".join(map(repr, error.args[1][:10]))
        raise TraceError(f"{source}: tasks wait for each other in a ring, {ring}; expected none") from None
    return earliest
