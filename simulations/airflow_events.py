"""What happens in the modelled Airflow from one instant to the next, compiled.

`airflow_kernel` states the rules and owns the arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simulations import airflow_runs, airflow_scheduler, airflow_slots, airflow_state
from simulations.airflow_runs import leave_run, make_ready
from simulations.airflow_scheduler import (
    give_back,
    loop,
    make_eligible,
    reschedule,
)
from simulations.airflow_slots import drop_head, free_slots, join, run, stand_in_line, start_all
from simulations.airflow_state import (
    ARRIVED,
    ARRIVES_AT,
    BUSY,
    ENDS,
    FAILED_TASKS,
    HEAD,
    KIND,
    LEFT,
    LOOP_AT,
    NEVER,
    NOBODY,
    NOTICED,
    OPENED_AT,
    PLANNED,
    QUANTA_PER_SECOND,
    QUEUED,
    QUEUED_AT,
    QUEUED_TIMEOUT,
    READY,
    RELEASED,
    REQUEUES,
    RETRIES,
    RETRY_DELAY,
    RUNNING,
    RUNNING_SLOTS,
    RUNNING_WORKERS,
    SKIPPED,
    SKIPPED_TASKS,
    STARTED_AT,
    STARTS,
    STOPPED,
    TAIL,
    TIMEOUTS,
    TIMES_OUT_AT,
    TRIES,
    UNFINISHED,
    WORKER_BITS,
    Arrays,
    line_of,
    luck_of,
    of,
    plan,
    take_first,
    wide,
)
from simulations.linked import all_borrowed, door, part

PARTS = (airflow_state, airflow_runs, airflow_scheduler, airflow_slots)


@part
def _end(at: int, task: int, a: Arrays) -> None:
    """A task's end: its limits and its children are free now, its slots after the tail."""
    a.state[UNFINISHED] -= 1
    if a.slots[task]:
        line, width = line_of(task, a), a.slots[task]
        a.lines[RUNNING_SLOTS, line] -= width
        a.workers[BUSY, line, a.worker[task]] -= width
        give_back(at, task, a)
        tail = luck_of(task, a.luck[TAIL])
        if tail:
            plan(at + tail, task + RELEASED, a)
        else:
            free_slots(task, a)
    if len(a.waits_for):
        for edge in range(a.first_child[task], a.first_child[task + 1]):
            child = wide(a.children[edge])
            a.waits_for[child] -= 1
            if a.waits_for[child] == 0:
                earliest = int(a.queued_seconds[child] * QUANTA_PER_SECOND)
                plan(max(earliest, at + of(a.delay, child)), child + READY, a)
    leave_run(at, task, a)


@part
def _fail(at: int, task: int, a: Arrays) -> None:
    """A task will not be tried again: whatever waits for it, however far below, never runs."""
    a.state[FAILED_TASKS] += 1
    a.outcome[STARTED_AT, task] = np.nan
    a.state[UNFINISHED] -= 1
    leave_run(at, task, a)
    if not len(a.waits_for):
        return
    a.links[LEFT, task] = NOBODY
    while task != NOBODY:
        following = wide(a.links[LEFT, task])
        for edge in range(a.first_child[task], a.first_child[task + 1]):
            child = wide(a.children[edge])
            if a.waits_for[child] > 0:
                a.waits_for[child] = SKIPPED
                a.state[SKIPPED_TASKS] += 1
                a.state[UNFINISHED] -= 1
                leave_run(at, child, a)
                a.links[LEFT, child] = following
                following = child
        task = following


@part
def notice(at: int, task: int, a: Arrays) -> None:
    """Airflow finds out that a task died with its worker."""
    a.lines[RUNNING_SLOTS, line_of(task, a)] -= a.slots[task]
    give_back(at, task, a)
    if a.state[RETRIES] != NEVER:
        a.counts[TRIES, task] += 1
        if a.counts[TRIES, task] > a.state[RETRIES]:
            _fail(at, task, a)
            return
    plan(at + a.state[RETRY_DELAY], task + READY, a)


@part
def _time_out(at: int, starts_at: float, a: Arrays) -> None:
    """What no worker has taken for too long is queued anew, or fails."""
    state, limit = a.state, a.state[QUEUED_TIMEOUT]
    state[TIMES_OUT_AT] = NEVER
    for queue in range(a.queues.shape[1]):
        while a.queues[HEAD, queue] != NOBODY:
            task = wide(a.queues[HEAD, queue])
            due = int((a.outcome[QUEUED_AT, task] - starts_at) * QUANTA_PER_SECOND) + limit
            if due > at:
                state[TIMES_OUT_AT] = min(state[TIMES_OUT_AT], due)
                break
            drop_head(queue, a)
            a.lines[QUEUED, line_of(task, a)] -= a.slots[task]
            give_back(at, task, a)
            a.counts[TIMEOUTS, task] += 1
            if a.counts[TIMEOUTS, task] > state[REQUEUES]:
                _fail(at, task, a)
            else:
                reschedule(at, task, a)


@part
def _happen(at: int, what: int, a: Arrays) -> None:
    """One event, of those that precede tasks' being ready."""
    kind, number = what & -KIND, what & (KIND - 1)
    if kind == STARTS:
        run(number, a)
    elif kind == ENDS:
        _end(at, number, a)
    elif kind == RELEASED:
        free_slots(number, a)
    elif kind == NOTICED:
        notice(at, number, a)
    else:
        line, worker = number >> WORKER_BITS, number & ((1 << WORKER_BITS) - 1)
        if not a.workers[STOPPED, line, worker]:
            a.workers[RUNNING, line, worker] = 1
            a.lines[RUNNING_WORKERS, line] += 1
            join(line, worker, a)


@part
def planned(at: int, before: int, a: Arrays) -> bool:
    """Whether the next event on the agenda is one of this instant, and of a kind before this one."""
    return bool(a.state[PLANNED] > 0 and a.agenda[0, 0] == at and a.agenda[0, 1] < before)


@part
def _get_ready(at: int, a: Arrays) -> None:
    """All tasks that are ready at this instant, by row; then those that a loop can see from now on."""
    state = a.state
    while True:
        due = planned(at, READY + KIND, a)
        arrives = state[ARRIVES_AT] == at
        if not (due or arrives):
            break
        if arrives and not (due and a.agenda[0, 1] - READY < a.order[state[ARRIVED]]):
            task = wide(a.order[state[ARRIVED]])
            state[ARRIVED] += 1
            state[ARRIVES_AT] = NEVER
            if state[ARRIVED] < len(a.order):
                state[ARRIVES_AT] = int(a.queued_seconds[a.order[state[ARRIVED]]] * QUANTA_PER_SECOND)
        else:
            task = a.agenda[0, 1] - READY
            take_first(a)
        make_ready(at, task, a)
    while planned(at, NEVER, a):
        task = a.agenda[0, 1] & (KIND - 1)
        take_first(a)
        make_eligible(at, task, a)


@part
def _next_due(a: Arrays) -> int:
    """The instant of the next event, or an earlier one."""
    state = a.state
    at = min(state[ARRIVES_AT], state[OPENED_AT], state[LOOP_AT], state[TIMES_OUT_AT])
    if state[PLANNED]:
        at = min(at, a.agenda[0, 0])
    return at  # type: ignore[no-any-return]


@door(*PARTS)
def advance(until: int, starts_at: float, *arrays: Any) -> int:
    """Lets everything happen that is due up to and including `until`.  When the next thing is due.

    `arrays` are those of `Arrays`, one by one.
    """
    a = all_borrowed(Arrays(*arrays))
    state = a.state
    while True:
        at = _next_due(a)
        if at > until:
            return at
        now = starts_at + at / QUANTA_PER_SECOND
        state[OPENED_AT] = NEVER
        if state[TIMES_OUT_AT] == at:
            _time_out(at, starts_at, a)
        while planned(at, READY, a):
            what = a.agenda[0, 1]
            take_first(a)
            _happen(at, what, a)
        _get_ready(at, a)
        if state[LOOP_AT] == at:
            loop(at, now, a)
        stand_in_line(a)
        start_all(at, now, a)
