"""Runs of DAGs whose active runs are limited, compiled: what waits for its run is not ready yet."""

from __future__ import annotations

from simulations.airflow_scheduler import make_eligible
from simulations.airflow_state import (
    ACTIVE,
    DAG,
    DELAY,
    ELIGIBLE,
    FIRST_HELD,
    FIRST_WAITING,
    LAST_WAITING,
    LEFT,
    LEFT_TASKS,
    NEXT_WAITING,
    NOBODY,
    OPEN_RUNS,
    READY,
    STATUS,
    UNKNOWN,
    WAITING,
    Arrays,
    luck_of,
    plan,
    run_of,
    wide,
)
from simulations.linked import part


@part
def make_ready(at: int, task: int, a: Arrays) -> None:
    """A task could be scheduled, if its run may run."""
    run = run_of(task, a.run)
    if run != NOBODY and a.runs[STATUS, run] != ACTIVE:
        a.links[LEFT, task] = a.runs[FIRST_HELD, run]
        a.runs[FIRST_HELD, run] = task
        if a.runs[STATUS, run] == UNKNOWN:
            _arrive(run, a)
            open_runs(at, a.runs[DAG, run], a)
        return
    delay = luck_of(task, a.luck[DELAY])
    if delay:
        plan(at + delay, task + ELIGIBLE, a)
    else:
        make_eligible(at, task, a)


@part
def _arrive(run: int, a: Arrays) -> None:
    """A run stands behind the other runs of its DAG."""
    a.runs[STATUS, run], a.runs[NEXT_WAITING, run] = WAITING, NOBODY
    dag = a.runs[DAG, run]
    if a.dags[FIRST_WAITING, dag] == NOBODY:
        a.dags[FIRST_WAITING, dag] = run
    else:
        a.runs[NEXT_WAITING, a.dags[LAST_WAITING, dag]] = run
    a.dags[LAST_WAITING, dag] = run


@part
def open_runs(at: int, dag: int, a: Arrays) -> None:
    """Starts the DAG's next runs as far as they may; what was held for them is ready now."""
    while a.dags[OPEN_RUNS, dag] > 0 and a.dags[FIRST_WAITING, dag] != NOBODY:
        run = a.dags[FIRST_WAITING, dag]
        a.dags[FIRST_WAITING, dag] = a.runs[NEXT_WAITING, run]
        a.dags[OPEN_RUNS, dag] -= 1
        a.runs[STATUS, run] = ACTIVE
        task = wide(a.runs[FIRST_HELD, run])
        while task != NOBODY:
            plan(at, task + READY, a)
            task = wide(a.links[LEFT, task])


@part
def leave_run(at: int, task: int, a: Arrays) -> None:
    """A task of a run is over: the last one ends it."""
    run = run_of(task, a.run)
    if run == NOBODY:
        return
    a.runs[LEFT_TASKS, run] -= 1
    if a.runs[LEFT_TASKS, run] == 0 and a.runs[STATUS, run] == ACTIVE:
        a.dags[OPEN_RUNS, a.runs[DAG, run]] += 1
        open_runs(at, a.runs[DAG, run], a)
