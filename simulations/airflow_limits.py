"""Pools, active tasks and active runs of a modelled Airflow as flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.model import IntArray
from simulations import airflow_state as places
from simulations.airflow import Airflow, limit_of
from simulations.airflow_state import NOBODY, NumberArray
from simulations.trace import Trace

UNLIMITED = 2**60


class Limits(NamedTuple):
    """Classes of tasks, and what holds them up; see `airflow_state.Arrays`."""

    limits: NumberArray
    classes: IntArray
    pools: IntArray
    owners: IntArray


class Runs(NamedTuple):
    """Runs whose DAGs limit them; see `airflow_state.Arrays`."""

    run: NumberArray
    runs: IntArray
    dags: IntArray


def limits_of(trace: Trace, airflow: Airflow) -> Limits:
    """Tasks with the same pool, pool slots and owner are one class."""
    pools = airflow.pools or {}
    open_slots = [_open(pools.get(name)) for name in trace.pools]
    in_pool = (np.array(open_slots) < UNLIMITED)[trace.pool]
    owner, open_tasks = _owners(trace, airflow)
    if not (in_pool.any() or open_tasks):
        alone = np.full((6, 1), NOBODY, dtype=np.int64)
        alone[[places.WIDTH, places.PARKED]] = 0
        return Limits(np.zeros(1, dtype=np.int32), alone, _held([]), _held([]))
    pool = np.where(in_pool, trace.pool, NOBODY)
    widths, width = np.unique(np.where(in_pool, trace.pool_slots, 0), return_inverse=True)
    # One number for the three.
    mixed = ((pool + 1).astype(np.int64) * len(widths) + width) * (len(open_tasks) + 1) + owner + 1
    _, first, number = np.unique(mixed, return_index=True, return_inverse=True)
    classes = np.full((6, len(first)), NOBODY, dtype=np.int64)
    classes[places.POOL], classes[places.WIDTH] = pool[first], widths[width[first]]
    classes[places.OWNER] = np.broadcast_to(owner, len(trace))[first]
    classes[places.PARKED] = 0
    return Limits(number.astype(np.int32), classes, _held(open_slots), _held(open_tasks))


def _owners(trace: Trace, airflow: Airflow) -> tuple[NDArray[Any], list[int]]:
    """(DAG or run by task, how many tasks of each may be active); nobody: not limited."""
    if airflow.max_active_tasks is None:
        return np.array(NOBODY), []
    by_dag = np.array([_open(limit_of(airflow.max_active_tasks, name)) for name in trace.dags])
    limited = by_dag[trace.dag] < UNLIMITED
    if not airflow.max_active_tasks_per_run:
        return np.where(limited, trace.dag, NOBODY), by_dag.tolist()
    limited &= named(trace.runs)[trace.run]
    by_run = np.full(len(trace.runs), UNLIMITED)
    by_run[trace.run[limited]] = by_dag[trace.dag[limited]]
    return np.where(limited, trace.run, NOBODY), by_run.tolist()


def runs_of(trace: Trace, airflow: Airflow) -> Runs:
    """Runs of DAGs whose active runs are limited; empty if none is."""
    by_dag = np.array([_open(limit_of(airflow.max_active_runs, name)) for name in trace.dags])
    limited = (by_dag < UNLIMITED)[trace.dag]
    if not limited.any():
        nothing = np.empty((5, 0), dtype=np.int64)
        return Runs(np.empty(0, dtype=np.int32), nothing, nothing[:3])
    limited &= named(trace.runs)[trace.run]
    run = np.where(limited, trace.run, NOBODY).astype(np.int32)
    runs = np.full((5, len(trace.runs)), NOBODY, dtype=np.int64)
    runs[places.LEFT_TASKS] = np.bincount(run[limited], minlength=len(trace.runs))
    runs[places.STATUS] = places.UNKNOWN
    # The DAG of the run's first row.
    runs[places.DAG, trace.run[::-1]] = trace.dag[::-1]
    dags = np.full((3, len(trace.dags)), NOBODY, dtype=np.int64)
    dags[places.OPEN_RUNS] = by_dag
    return Runs(run, runs, dags)


def named(names: Sequence[str]) -> NDArray[np.bool_]:
    """Which of them are names at all."""
    return np.fromiter((name != "" for name in names), dtype=bool, count=len(names))


def _open(limit: int | None) -> int:
    return UNLIMITED if limit is None or limit < 0 else limit


def _held(open_now: Sequence[int]) -> IntArray:
    """How much is open, and no class parked yet."""
    rows = np.full((2, len(open_now)), NOBODY, dtype=np.int64)
    rows[places.OPEN] = open_now
    return rows
