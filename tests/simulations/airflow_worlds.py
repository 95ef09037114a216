"""Small worlds with an Airflow in them: rows by hand, workers from the start."""

from __future__ import annotations

import numpy as np

from simulations.airflow import PLAIN
from simulations.airflow_kernel import AirflowKernel, LineSpec
from simulations.trace import trace_of


def rows_of(*rows, **columns):
    """A trace that begins at 0, from (queued at, duration) rows; parents by row; names by row."""
    parents = columns.pop("parents", {})
    edges = [(parent, child) for child, above in parents.items() for parent in above]
    for column, names in (("dag", "dags"), ("run", "runs"), ("pool", "pools"), ("queue", "queues")):
        if column in columns:
            given = columns[column]
            columns[names] = tuple(sorted(set(given)))
            columns[column] = [columns[names].index(each) for each in given]
    return trace_of(
        [row[0] for row in rows],
        [row[1] for row in rows],
        starts_at=0.0,
        edges=tuple(zip(*edges, strict=True)) if edges else ((), ()),
        **columns,
    )


def kernel_of(trace, airflow=PLAIN, *, workers=1, slots=1, seed=0):
    """A kernel with one line and so many workers, ready from the start."""
    kernel = AirflowKernel(trace, airflow, [LineSpec((), slots)], seed)
    for _ in range(workers):
        kernel.lines[0].launch(0.0)
    kernel.advance(0.0)
    return kernel


def starts(trace, airflow=PLAIN, *, workers=1, slots=1, seed=0, until=10_000.0):
    """When each task started; None: never."""
    kernel = kernel_of(trace, airflow, workers=workers, slots=slots, seed=seed)
    kernel.advance(until)
    return started(kernel)


def started(kernel):
    return [None if np.isnan(at) else at for at in kernel.started_at.tolist()]
