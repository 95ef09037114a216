"""Tasks that could never run in a modelled Airflow are refused, one clear line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simulations.airflow import Airflow
from simulations.trace import DEFAULT_POOL, Trace, TraceError

if TYPE_CHECKING:
    from simulations.airflow_setup import LineSpec


def check(trace: Trace, airflow: Airflow, lines: Sequence[LineSpec]) -> None:
    """Raises `TraceError` for a task that can never run, and `ValueError` for lines that make no sense."""
    needs_worker = trace.slots > 0
    _check_lines(trace, lines, needs_worker)
    if airflow.pools is not None:
        _check_pools(trace, airflow, needs_worker)


def _check_lines(trace: Trace, lines: Sequence[LineSpec], needs_worker: NDArray[np.bool_]) -> None:
    served = [name for line in lines for name in line.queues]
    open_to_all = [line for line in lines if not line.queues]
    again = [name for name, count in Counter(served).items() if count > 1]
    if again or len(open_to_all) > 1:
        what = f"the queue {again[0]!r} is" if again else "the queues that no target names are"
        raise ValueError(f"{what} served by two targets: each queue belongs to one")
    for line in lines:
        if line.slots_per_worker < 1:
            raise ValueError(f"slots per worker: expected at least 1, got {line.slots_per_worker}")
    most = np.array([_slots_for(name, lines) for name in trace.queues])
    if not most.all():
        lost = needs_worker & (most[trace.queue] == 0)
        if lost.any():
            row = int(np.flatnonzero(lost)[0])
            name = trace.queues[trace.queue[row]]
            known = ", ".join(repr(each) for each in served[:10])
            raise TraceError(
                f"{_where(trace, row, 'queue')} waits in {name!r}, which no worker serves: it can never run; "
                f"served are {known}"
            )
    wide = needs_worker & (trace.slots > most[trace.queue])
    if wide.any():
        row = int(np.flatnonzero(wide)[0])
        raise TraceError(
            f"{_where(trace, row, 'slots')} wants {trace.slots[row]}, a worker has "
            f"{most[trace.queue[row]]}: it can never run; give more slots per worker"
        )


def _slots_for(queue: str, lines: Sequence[LineSpec]) -> int:
    for line in lines:
        if queue in line.queues:
            return line.slots_per_worker
    return next((line.slots_per_worker for line in lines if not line.queues), 0)


def _check_pools(trace: Trace, airflow: Airflow, needs_worker: NDArray[np.bool_]) -> None:
    pools = {DEFAULT_POOL: -1, **(airflow.pools or {})}
    unknown = np.array([name not in pools for name in trace.pools])
    lost = needs_worker & unknown[trace.pool]
    if lost.any():
        row = int(np.flatnonzero(lost)[0])
        known = ", ".join(repr(each) for each in sorted(pools)[:10])
        raise TraceError(
            f"{_where(trace, row, 'pool')} is in {trace.pools[trace.pool[row]]!r}, which does not exist: it "
            f"can never run; pools are {known}"
        )
    size = np.array([pools.get(name, 0) for name in trace.pools])[trace.pool]
    wide = needs_worker & (size >= 0) & (trace.pool_slots > size)
    if wide.any():
        row = int(np.flatnonzero(wide)[0])
        raise TraceError(
            f"{_where(trace, row, 'pool_slots')} wants {trace.pool_slots[row]} of the pool "
            f"{trace.pools[trace.pool[row]]!r}, which has {size[row]}: it can never run; make the pool larger"
        )


def _where(trace: Trace, row: int, column: str) -> str:
    return f"{trace.source}: row {row + 1}, column {column}: task {trace.keys[row]!r}"
