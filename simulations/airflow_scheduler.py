"""Airflow's scheduler, compiled: from a task's being ready to its place in a worker queue.

Tasks that the same limits hold up form a *class*: one pool, one number of pool slots, one owner (the DAG or
run whose active tasks are limited).  Of a class only the first task can move next, so a loop looks at the
first of each, and a class that is held up is *parked* at what holds it until something is given back
there: whatever waits behind a full pool costs nothing.
"""

from __future__ import annotations

from simulations.airflow_state import (
    END,
    ENDS,
    FIRST_PARKED,
    FRESH_TASKS,
    HEAD,
    LEFT,
    LOOP_AT,
    LOOP_PERIOD,
    LOOP_PHASE,
    LOOPED_AT,
    LOW_BITS,
    NEVER,
    NEXT_PARKED,
    NOBODY,
    OPEN,
    OPEN_PARALLELISM,
    OWNER,
    PARKED,
    POOL,
    QUANTA_PER_SECOND,
    QUEUED,
    QUEUED_AT,
    QUEUED_PER_LOOP,
    QUEUED_TIMEOUT,
    RIGHT,
    ROOT,
    SCHEDULED,
    SCHEDULED_AT,
    SEQUENCE,
    STARTED_AT,
    TIMES_OUT_AT,
    WIDTH,
    Arrays,
    line_of,
    of,
    plan,
    rank_of,
    set_key,
    wide,
)
from simulations.linked import part


@part
def _merged(one: int, other: int, a: Arrays) -> int:
    """Two skew heaps of tasks by rank as one."""
    if one == NOBODY:
        return other
    if other == NOBODY:
        return one
    if rank_of(other, a.rank) < rank_of(one, a.rank):
        one, other = other, one
    links, place = a.links, one
    while True:
        below = wide(links[RIGHT, place])
        links[RIGHT, place] = links[LEFT, place]
        if below == NOBODY:
            links[LEFT, place] = other
            return one
        if rank_of(other, a.rank) < rank_of(below, a.rank):
            below, other = other, below
        links[LEFT, place] = below
        place = below


@part
def _show(number: int, a: Arrays) -> None:
    """Gives a class its key: that of its first task, unless it is parked or empty."""
    task = wide(a.classes[ROOT, number])
    key = NEVER
    if task != NOBODY and not a.classes[PARKED, number]:
        key = (rank_of(task, a.rank) << LOW_BITS) | number
    set_key(number, key, a.class_tree)


@part
def _enter(task: int, a: Arrays) -> None:
    """A task waits for its limits."""
    number = of(a.limits, task)
    a.links[LEFT, task] = a.links[RIGHT, task] = NOBODY
    root = _merged(wide(a.classes[ROOT, number]), task, a)
    if root != a.classes[ROOT, number]:
        a.classes[ROOT, number] = root
        _show(number, a)


@part
def _park(number: int, first: int, a: Arrays) -> int:
    """Puts a class before the first of those that are parked; the new first."""
    a.classes[PARKED, number] = 1
    a.classes[NEXT_PARKED, number] = first
    set_key(number, NEVER, a.class_tree)
    return number


@part
def _let_move(number: int, a: Arrays) -> None:
    """Classes that were parked, from this one on."""
    while number != NOBODY:
        a.classes[PARKED, number] = 0
        _show(number, a)
        number = a.classes[NEXT_PARKED, number]


@part
def want_loop(at: int, a: Arrays) -> None:
    """The next loop shall not be skipped."""
    state = a.state
    if state[LOOP_AT] != NEVER:
        return
    period = state[LOOP_PERIOD]
    if not period:
        state[LOOP_AT] = at
        return
    past = max(at - state[LOOP_PHASE] + period - 1, 0) // period
    state[LOOP_AT] = max(state[LOOP_PHASE] + past * period, state[LOOPED_AT] + period)


@part
def give_back(at: int, task: int, a: Arrays) -> None:
    """The task no longer counts against any limit."""
    if a.slots[task] == 0:
        return
    number = of(a.limits, task)
    pool, owner = a.classes[POOL, number], a.classes[OWNER, number]
    a.state[OPEN_PARALLELISM] += 1
    if pool != NOBODY:
        a.pools[OPEN, pool] += a.classes[WIDTH, number]
        _let_move(a.pools[FIRST_PARKED, pool], a)
        a.pools[FIRST_PARKED, pool] = NOBODY
    if owner != NOBODY:
        a.owners[OPEN, owner] += 1
        _let_move(a.owners[FIRST_PARKED, owner], a)
        a.owners[FIRST_PARKED, owner] = NOBODY
    if a.class_tree[1] != NEVER:
        want_loop(at, a)


@part
def make_eligible(at: int, task: int, a: Arrays) -> None:
    """The next loop sees the task."""
    a.links[LEFT, task] = a.state[FRESH_TASKS]
    a.state[FRESH_TASKS] = task
    want_loop(at, a)


@part
def reschedule(at: int, task: int, a: Arrays) -> None:
    """A task that was queued too long waits for its limits again; its wait goes on."""
    a.lines[SCHEDULED, line_of(task, a)] += a.slots[task]
    _enter(task, a)
    want_loop(at, a)


@part
def _see(at: int, now: float, a: Arrays) -> None:
    """What became eligible since the last loop is scheduled; what needs no worker runs."""
    task = wide(a.state[FRESH_TASKS])
    a.state[FRESH_TASKS] = NOBODY
    while task != NOBODY:
        following = wide(a.links[LEFT, task])
        a.outcome[SCHEDULED_AT, task] = now
        if a.slots[task]:
            a.lines[SCHEDULED, line_of(task, a)] += a.slots[task]
            _enter(task, a)
        else:
            a.outcome[QUEUED_AT, task] = a.outcome[STARTED_AT, task] = now
            plan(at + int(a.duration_seconds[task] * QUANTA_PER_SECOND), task + ENDS, a)
        task = following


@part
def _queue(at: int, now: float, task: int, a: Arrays) -> None:
    """A task leaves the scheduler for the end of its worker queue."""
    queue, line = of(a.queue, task), line_of(task, a)
    a.outcome[QUEUED_AT, task] = now
    a.lines[SCHEDULED, line] -= a.slots[task]
    a.lines[QUEUED, line] += a.slots[task]
    a.links[RIGHT, task] = NOBODY
    if a.queues[HEAD, queue] == NOBODY:
        a.queues[HEAD, queue] = task
        if a.state[QUEUED_TIMEOUT] != NEVER:
            a.state[TIMES_OUT_AT] = min(a.state[TIMES_OUT_AT], at + a.state[QUEUED_TIMEOUT])
    else:
        a.links[RIGHT, a.queues[END, queue]] = task
    a.queues[END, queue] = task
    if len(a.sequence):
        a.sequence[task] = a.state[SEQUENCE]
        a.state[SEQUENCE] += 1


@part
def loop(at: int, now: float, a: Arrays) -> None:
    """One look of the scheduler: queues what fits, in its order."""
    state, classes = a.state, a.classes
    state[LOOP_AT], state[LOOPED_AT] = NEVER, at
    _see(at, now, a)
    left = state[QUEUED_PER_LOOP]
    while a.class_tree[1] != NEVER and state[OPEN_PARALLELISM] > 0:
        if left == 0:
            want_loop(at + 1, a)
            return
        number = a.class_tree[1] & ((1 << LOW_BITS) - 1)
        pool, owner, width = classes[POOL, number], classes[OWNER, number], classes[WIDTH, number]
        if pool != NOBODY and a.pools[OPEN, pool] < width:
            a.pools[FIRST_PARKED, pool] = _park(number, a.pools[FIRST_PARKED, pool], a)
            continue
        if owner != NOBODY and a.owners[OPEN, owner] <= 0:
            a.owners[FIRST_PARKED, owner] = _park(number, a.owners[FIRST_PARKED, owner], a)
            continue
        task = wide(classes[ROOT, number])
        classes[ROOT, number] = _merged(wide(a.links[LEFT, task]), wide(a.links[RIGHT, task]), a)
        _show(number, a)
        state[OPEN_PARALLELISM] -= 1
        if pool != NOBODY:
            a.pools[OPEN, pool] -= width
        if owner != NOBODY:
            a.owners[OPEN, owner] -= 1
        _queue(at, now, task, a)
        left -= 1
