"""What happens in the modelled Airflow from one instant to the next, compiled.

`airflow_kernel` states the rules and owns the arrays.
"""

from __future__ import annotations

from typing import Any

from simulations import airflow_scheduler, airflow_slots, airflow_state
from simulations.airflow_scheduler import (
    give_back,
    leave_run,
    loop,
    make_eligible,
    make_ready,
    reschedule,
)
from simulations.airflow_slots import drop_head, free_slots, join, leave, run, stand_in_line, start_all
from simulations.airflow_state import (
    ARRIVED,
    ARRIVES_AT,
    BUSY,
    CONSUMING,
    ENDS,
    FAILED_TASKS,
    HEAD,
    HEARTBEAT_TIMEOUT,
    KILLED_TASKS,
    KIND,
    LEFT,
    LOOP_AT,
    LOST_SLOT_QUANTA,
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
    make_heap,
    of,
    plan,
    take_first,
    wide,
)
from simulations.linked import all_borrowed, door, part

_PARTS = (airflow_state, airflow_scheduler, airflow_slots)


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
def _notice(at: int, task: int, a: Arrays) -> None:
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
        _notice(at, number, a)
    else:
        line, worker = number >> WORKER_BITS, number & ((1 << WORKER_BITS) - 1)
        if not a.workers[STOPPED, line, worker]:
            a.workers[RUNNING, line, worker] = 1
            a.lines[RUNNING_WORKERS, line] += 1
            join(line, worker, a)


@part
def _planned(at: int, before: int, a: Arrays) -> bool:
    """Whether the next event on the agenda is one of this instant, and of a kind before this one."""
    return bool(a.state[PLANNED] > 0 and a.agenda[0, 0] == at and a.agenda[0, 1] < before)


@part
def _get_ready(at: int, a: Arrays) -> None:
    """All tasks that are ready at this instant, by row; then those that a loop can see from now on."""
    state = a.state
    while True:
        planned = _planned(at, READY + KIND, a)
        arrives = state[ARRIVES_AT] == at
        if not (planned or arrives):
            break
        if arrives and not (planned and a.agenda[0, 1] - READY < a.order[state[ARRIVED]]):
            task = wide(a.order[state[ARRIVED]])
            state[ARRIVED] += 1
            state[ARRIVES_AT] = NEVER
            if state[ARRIVED] < len(a.order):
                state[ARRIVES_AT] = int(a.queued_seconds[a.order[state[ARRIVED]]] * QUANTA_PER_SECOND)
        else:
            task = a.agenda[0, 1] - READY
            take_first(a)
        make_ready(at, task, a)
    while _planned(at, NEVER, a):
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


@door(*_PARTS)
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
        while _planned(at, READY, a):
            what = a.agenda[0, 1]
            take_first(a)
            _happen(at, what, a)
        _get_ready(at, a)
        if state[LOOP_AT] == at:
            loop(at, now, a)
        stand_in_line(a)
        start_all(at, now, a)


@door(*_PARTS)
def schedule(at: int, what: int, *arrays: Any) -> None:
    """Puts an event on the agenda."""
    plan(at, what, all_borrowed(Arrays(*arrays)))


@door(*_PARTS)
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
                # Nothing else moves meanwhile: the lost ones stand where they are until the second pass.
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
    while state[HEARTBEAT_TIMEOUT] == 0 and _planned(at, NOTICED + KIND, a) and agenda[0, 1] >= NOTICED:
        task = agenda[0, 1] - NOTICED
        take_first(a)
        _notice(at, task, a)


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


@door(*_PARTS)
def take_tasks(line: int, worker: int, consuming: int, *arrays: Any) -> None:
    """Opens or closes a worker's intake."""
    a = all_borrowed(Arrays(*arrays))
    if consuming and not a.workers[CONSUMING, line, worker]:
        a.workers[CONSUMING, line, worker] = 1
        join(line, worker, a)
    elif not consuming:
        a.workers[CONSUMING, line, worker] = 0
        leave(line, worker, a)
