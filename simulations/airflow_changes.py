"""What somebody outside changes in the modelled Airflow, compiled: workers that come, go, open and close."""

from __future__ import annotations

from typing import Any

from simulations import airflow_events
from simulations.airflow_events import PARTS, notice, planned
from simulations.airflow_slots import join, leave
from simulations.airflow_state import (
    BUSY,
    CONSUMING,
    ENDS,
    HEARTBEAT_TIMEOUT,
    KILLED_TASKS,
    KIND,
    LOST_SLOT_QUANTA,
    NOTICED,
    PLANNED,
    QUANTA_PER_SECOND,
    QUEUED,
    RELEASED,
    RUNNING_SLOTS,
    STARTED_AT,
    STARTS,
    Arrays,
    line_of,
    make_heap,
    plan,
    take_first,
)
from simulations.linked import all_borrowed, door, part


@door(airflow_events, *PARTS)
def schedule(at: int, what: int, *arrays: Any) -> None:
    """Puts an event on the agenda."""
    plan(at, what, all_borrowed(Arrays(*arrays)))


@door(airflow_events, *PARTS)
def stop(line: int, worker: int, at: int, starts_at: float, *arrays: Any) -> None:
    """Loses what a worker runs or is about to run."""
    a = all_borrowed(Arrays(*arrays))
    leave(line, worker, a)
    state, agenda, kept, count = a.state, a.agenda, 0, a.state[PLANNED]
    for place in range(count):
        what = agenda[place, 1]
        kind, task = what & -KIND, what & (KIND - 1)
        held = kind in (STARTS, ENDS, RELEASED) and a.slots[task] > 0
        if held and a.worker[task] == worker and line_of(task, a) == line:
            if kind == ENDS:
                # Where it stood there is now its loss's notice; the heap is put in order below.
                agenda[place, 1] = task + NOTICED
                agenda[place, 0] = at + state[HEARTBEAT_TIMEOUT]
                _lose(at, starts_at, task, a)
            else:
                continue
        agenda[kept, 0], agenda[kept, 1] = agenda[place, 0], agenda[place, 1]
        kept += 1
    state[PLANNED] = kept
    make_heap(a)
    a.workers[BUSY, line, worker] = 0
    while state[HEARTBEAT_TIMEOUT] == 0 and planned(at, NOTICED + KIND, a) and agenda[0, 1] >= NOTICED:
        task = agenda[0, 1] - NOTICED
        take_first(a)
        notice(at, task, a)


@part
def _lose(at: int, starts_at: float, task: int, a: Arrays) -> None:
    """Until it is noticed, a lost task counts as running."""
    width, line = a.slots[task], line_of(task, a)
    started = int((a.outcome[STARTED_AT, task] - starts_at) * QUANTA_PER_SECOND)
    if started > at:
        a.lines[QUEUED, line] -= width
        a.lines[RUNNING_SLOTS, line] += width
    a.state[KILLED_TASKS] += 1
    a.state[LOST_SLOT_QUANTA] += max(at - started, 0) * width


@door(airflow_events, *PARTS)
def take_tasks(line: int, worker: int, consuming: int, *arrays: Any) -> None:
    """Opens or closes a worker's intake."""
    a = all_borrowed(Arrays(*arrays))
    if consuming and not a.workers[CONSUMING, line, worker]:
        a.workers[CONSUMING, line, worker] = 1
        join(line, worker, a)
    elif not consuming:
        a.workers[CONSUMING, line, worker] = 0
        leave(line, worker, a)
