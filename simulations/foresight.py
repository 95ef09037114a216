"""The events of a schedule with foresight, compiled; `schedule` states the rules and owns the arrays."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.model import FloatArray, IntArray
from simulations.compiled import borrowed, compiled

NEVER = float("inf")
NOBODY = 2**62
"""Above every worker's number."""
NO_WORKER = -1
"""Of a task that needs none."""

# What happens at one instant, in this order, to task `number % tasks`; the kind is `number // tasks`.
END, RELEASE, QUEUED = range(3)

# Places in `state`.
WORKERS, ALIVE, HEAD, TAIL = range(4)  # the queue is `queue[HEAD:TAIL]`
STATE_SIZE = 4

Events = list[tuple[float, int]]
"""A heap of (instant, kind and task)."""


class Plan(NamedTuple):
    """All that the events read and write; seconds from the trace's zero."""

    max_wait_seconds: float
    idle_seconds: float
    tail_seconds: float
    slots_per_worker: int
    ahead: bool

    duration: FloatArray
    """A row a task, as the next ones."""
    slots: IntArray
    queued_at: FloatArray
    """Of a child that still waits for a parent: the earliest so far."""
    delay: FloatArray
    """From the last parent's end until the task is queued."""
    waits_for: IntArray
    """Parents that have not ended."""
    first_child: IntArray
    children: IntArray
    roots: IntArray
    """Tasks without parents in the order in which they are queued."""
    started_at: FloatArray
    worker_of: IntArray

    ready_at: FloatArray
    """A row a worker, as the next ones: no more workers than tasks."""
    stopped_at: FloatArray
    """The last task's end so far; infinite while one runs."""
    running: IntArray
    free: IntArray
    listed: NDArray[np.bool_]
    gone: NDArray[np.bool_]

    queue: IntArray
    state: IntArray
    """`ALIVE`: workers not gone, those included of whom it is not known yet."""
    backlog: FloatArray
    """One number: slot-seconds in the queue."""


@compiled
def _borrowed(p: Plan) -> Plan:
    """The same arrays, whose references nobody counts."""
    return Plan(
        p.max_wait_seconds,
        p.idle_seconds,
        p.tail_seconds,
        p.slots_per_worker,
        p.ahead,
        borrowed(p.duration),
        borrowed(p.slots),
        borrowed(p.queued_at),
        borrowed(p.delay),
        borrowed(p.waits_for),
        borrowed(p.first_child),
        borrowed(p.children),
        borrowed(p.roots),
        borrowed(p.started_at),
        borrowed(p.worker_of),
        borrowed(p.ready_at),
        borrowed(p.stopped_at),
        borrowed(p.running),
        borrowed(p.free),
        borrowed(p.listed),
        borrowed(p.gone),
        borrowed(p.queue),
        borrowed(p.state),
        borrowed(p.backlog),
    )


@compiled
def play(plan: Plan) -> None:
    """From the first task queued to the last end."""
    p = _borrowed(plan)
    events, opened, root = [(NEVER, 0)], [NOBODY], 0
    while True:
        at = events[0][0]
        if root < len(p.roots):
            at = min(at, p.queued_at[p.roots[root]])
        if p.state[HEAD] < p.state[TAIL]:
            at = min(at, p.queued_at[p.queue[p.state[HEAD]]] + p.max_wait_seconds)
        if at == NEVER:
            return
        while events[0][0] == at:
            _happen(at, heappop(events)[1], events, opened, p)
        while root < len(p.roots) and p.queued_at[p.roots[root]] == at:
            _enqueue(at, p.roots[root], events, p)
            root += 1
        _start_all(at, events, opened, p)


@compiled
def _happen(at: float, number: int, events: Events, opened: list[int], p: Plan) -> None:
    kind, task = number // len(p.slots), number % len(p.slots)
    if kind == END:
        _end(at, task, events, opened, p)
    elif kind == RELEASE:
        _release(task, opened, p)
    else:
        _enqueue(at, task, events, p)


@compiled
def _enqueue(at: float, task: int, events: Events, p: Plan) -> None:
    """At the queue's end; a task of no slots runs at once, on no worker."""
    if p.slots[task] == 0:
        p.started_at[task], p.worker_of[task] = at, NO_WORKER
        heappush(events, (at + p.duration[task], END * len(p.slots) + task))
        return
    p.queue[p.state[TAIL]] = task
    p.state[TAIL] += 1
    p.backlog[0] += p.slots[task] * p.duration[task]


@compiled
def _end(at: float, task: int, events: Events, opened: list[int], p: Plan) -> None:
    worker = p.worker_of[task]
    if worker != NO_WORKER:
        p.running[worker] -= 1
        if p.running[worker] == 0:
            p.stopped_at[worker] = at
        if p.tail_seconds:
            heappush(events, (at + p.tail_seconds, RELEASE * len(p.slots) + task))
        else:
            _release(task, opened, p)
    for place in range(p.first_child[task], p.first_child[task + 1]):
        child = p.children[place]
        p.waits_for[child] -= 1
        p.queued_at[child] = max(p.queued_at[child], at + p.delay[child])
        if p.waits_for[child] == 0:
            heappush(events, (p.queued_at[child], QUEUED * len(p.slots) + child))


@compiled
def _release(task: int, opened: list[int], p: Plan) -> None:
    worker = p.worker_of[task]
    p.free[worker] += p.slots[task]
    _list(worker, opened, p)


@compiled
def _list(worker: int, opened: list[int], p: Plan) -> None:
    if not p.listed[worker]:
        p.listed[worker] = True
        heappush(opened, worker)


@compiled
def _start_all(at: float, events: Events, opened: list[int], p: Plan) -> None:
    """Starts tasks from the queue's head for as long as there is room, or a launch is due."""
    while p.state[HEAD] < p.state[TAIL]:
        task = p.queue[p.state[HEAD]]
        worker = _lowest(at, p.slots[task], opened, p)
        if worker == NOBODY:
            if at < p.queued_at[task] + p.max_wait_seconds and not _crowded(p):
                return
            worker = _launch(at, opened, p)
        p.state[HEAD] += 1
        p.backlog[0] -= p.slots[task] * p.duration[task]
        p.free[worker] -= p.slots[task]
        p.running[worker] += 1
        p.stopped_at[worker] = NEVER
        p.started_at[task], p.worker_of[task] = at, worker
        heappush(events, (at + p.duration[task], END * len(p.slots) + task))


@compiled
def _crowded(p: Plan) -> bool:
    within_wait = p.state[ALIVE] * p.slots_per_worker * p.max_wait_seconds
    return p.ahead and p.backlog[0] > within_wait


@compiled
def _launch(at: float, opened: list[int], p: Plan) -> int:
    worker = p.state[WORKERS]
    p.state[WORKERS] += 1
    p.state[ALIVE] += 1
    p.ready_at[worker], p.stopped_at[worker] = at, at
    p.free[worker] = p.slots_per_worker
    _list(worker, opened, p)
    return worker  # type: ignore[no-any-return]


@compiled
def _lowest(at: float, needed: int, opened: list[int], p: Plan) -> int:
    """The lowest-numbered worker with room."""
    while opened[0] != NOBODY:
        worker = opened[0]
        if not _stays(worker, at, p) or p.free[worker] == 0:
            p.listed[heappop(opened)] = False
        elif p.free[worker] >= needed:
            return worker
        else:
            lowest = NOBODY
            for other in opened:
                if other < lowest and p.free[other] >= needed and _stays(other, at, p):
                    lowest = other
            return lowest
    return NOBODY


@compiled
def _stays(worker: int, at: float, p: Plan) -> bool:
    """Whether a worker is still there; who is not never comes back."""
    if not p.gone[worker] and at - p.stopped_at[worker] > p.idle_seconds:
        p.gone[worker] = True
        p.state[ALIVE] -= 1
    return not p.gone[worker]
