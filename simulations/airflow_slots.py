"""Worker queues and worker slots, compiled: from a task's place in its queue to its start.

Workers that can take a task are in a winner tree, one for each line.  The key is the order of the choice: the
worker's number (first fit), or its place in the line of those that wait for work (rotation).
"""

from __future__ import annotations

from simulations.airflow_state import (
    BUSY,
    CHOICE,
    CONSUMING,
    ENDS,
    FIRST_FIT,
    FIRST_QUEUE,
    FREE,
    FRESH,
    HEAD,
    JOINED,
    JOINS,
    LAST_SERVED,
    LOW_BITS,
    NEVER,
    NEXT_RANK,
    NOBODY,
    PENALTY,
    QUANTA_PER_SECOND,
    QUEUED,
    QUEUES,
    RANDOM,
    RIGHT,
    ROUND_ROBIN,
    RUNNING,
    RUNNING_SLOTS,
    SCHEDULED_AT,
    START_DELAY,
    STARTED_AT,
    STARTS,
    TIMEOUTS,
    WAITED,
    Arrays,
    line_of,
    luck_of,
    plan,
    set_key,
    wide,
)
from simulations.linked import part


@part
def can_take(line: int, worker: int, a: Arrays) -> bool:
    """Whether a worker has room and wants work."""
    workers = a.workers
    wants = workers[RUNNING, line, worker] and workers[CONSUMING, line, worker]
    return bool(wants and workers[FREE, line, worker] > 0)


@part
def join(line: int, worker: int, a: Arrays) -> None:
    """A worker has got room: it stands behind those that wait for work, once this round's have come."""
    if can_take(line, worker, a) and not a.workers[JOINS, line, worker]:
        a.workers[JOINS, line, worker] = 1
        a.joined[a.state[JOINED]] = (line << LOW_BITS) | worker
        a.state[JOINED] += 1


@part
def leave(line: int, worker: int, a: Arrays) -> None:
    """A worker takes no task for now."""
    set_key(worker, NEVER, a.worker_tree[line])


@part
def _stand(line: int, worker: int, a: Arrays) -> None:
    """A worker's key: its place among those that can take a task."""
    place = worker
    if a.state[CHOICE] != FIRST_FIT:
        place = a.lines[NEXT_RANK, line]
        a.lines[NEXT_RANK, line] += 1
    set_key(worker, (place << LOW_BITS) | worker, a.worker_tree[line])


@part
def stand_in_line(a: Arrays) -> None:
    """All that got room in this round, by number."""
    joined, count = a.joined, a.state[JOINED]
    if count > 1:
        joined[:count].sort()
    for place in range(count):
        line, worker = joined[place] >> LOW_BITS, joined[place] & ((1 << LOW_BITS) - 1)
        a.workers[JOINS, line, worker] = 0
        if can_take(line, worker, a):
            _stand(line, worker, a)
    a.state[JOINED] = 0


@part
def _chosen(line: int, task: int, a: Arrays) -> int:
    """The worker that takes the task; nobody if it fits nowhere."""
    tree, needed = a.worker_tree[line], a.slots[task]
    if tree[1] == NEVER:
        return NOBODY
    if a.state[CHOICE] == RANDOM:
        return _by_lot(line, task, a)
    first = tree[1] & ((1 << LOW_BITS) - 1)
    if a.workers[FREE, line, first] >= needed:
        return first  # type: ignore[no-any-return]
    best, half = NEVER, len(tree) >> 1
    for worker in range(half):
        if tree[half + worker] < best and a.workers[FREE, line, worker] >= needed:
            best = tree[half + worker]
    return NOBODY if best == NEVER else best & ((1 << LOW_BITS) - 1)


@part
def _by_lot(line: int, task: int, a: Arrays) -> int:
    """One of the workers with room enough, all with the same chance."""
    tree, needed, fitting = a.worker_tree[line], a.slots[task], 0
    half = len(tree) >> 1
    for worker in range(half):
        fitting += tree[half + worker] != NEVER and a.workers[FREE, line, worker] >= needed
    left = int(a.lots[task] * fitting)
    for worker in range(half):
        if tree[half + worker] != NEVER and a.workers[FREE, line, worker] >= needed:
            if left == 0:
                return worker
            left -= 1
    return NOBODY


@part
def _next_in_turn(line: int, a: Arrays) -> tuple[int, int]:
    """(queue, worker): the next queue, after the last one served, whose first task fits somewhere."""
    first, count = a.lines[FIRST_QUEUE, line], a.lines[QUEUES, line]
    for step in range(1, count + 1):
        queue = first + (a.lines[LAST_SERVED, line] + step) % count
        if a.queues[HEAD, queue] != NOBODY:
            worker = _chosen(line, a.queues[HEAD, queue], a)
            if worker != NOBODY:
                return queue, worker
    return NOBODY, NOBODY


@part
def _next_by_arrival(line: int, a: Arrays) -> tuple[int, int]:
    """(queue, worker): of the first tasks that fit somewhere the one queued first."""
    first, count = a.lines[FIRST_QUEUE, line], a.lines[QUEUES, line]
    best, queue, worker = NEVER, NOBODY, NOBODY
    for each in range(first, first + count):
        task = a.queues[HEAD, each]
        if task == NOBODY:
            continue
        queued = a.sequence[task] if len(a.sequence) else 0
        if queued < best:
            taker = _chosen(line, task, a)
            if taker != NOBODY:
                best, queue, worker = queued, each, taker
    return queue, worker


@part
def drop_head(queue: int, a: Arrays) -> int:
    """Takes the first task off a queue."""
    task = wide(a.queues[HEAD, queue])
    a.queues[HEAD, queue] = a.links[RIGHT, task]
    return task


@part
def start_all(at: int, now: float, a: Arrays) -> None:
    """Every line's workers take what they can."""
    for line in range(a.lines.shape[1]):
        while a.worker_tree[line, 1] != NEVER and a.lines[QUEUED, line] > 0:
            if a.state[ROUND_ROBIN]:
                queue, worker = _next_in_turn(line, a)
            else:
                queue, worker = _next_by_arrival(line, a)
            if queue == NOBODY:
                break
            a.lines[LAST_SERVED, line] = queue - a.lines[FIRST_QUEUE, line]
            _take(at, now, line, worker, drop_head(queue, a), a)


@part
def _take(at: int, now: float, line: int, worker: int, task: int, a: Arrays) -> None:
    """A worker takes a task: its slots are held from now on, and it runs a little later."""
    workers, width = a.workers, a.slots[task]
    workers[FREE, line, worker] -= width
    if workers[FREE, line, worker] == 0:
        leave(line, worker, a)
    elif a.state[CHOICE] != FIRST_FIT:
        _stand(line, worker, a)
    delay = luck_of(task, a.luck[START_DELAY])
    if workers[FRESH, line, worker]:
        workers[FRESH, line, worker] = 0
        delay += luck_of(task, a.luck[PENALTY])
    a.worker[task] = worker
    if a.counts.shape[1]:
        a.counts[TIMEOUTS, task] = 0
    started = now + delay / QUANTA_PER_SECOND
    a.outcome[STARTED_AT, task] = started
    a.outcome[WAITED, task] += started - a.outcome[SCHEDULED_AT, task]
    plan(at + delay + int(a.duration_seconds[task] * QUANTA_PER_SECOND), task + ENDS, a)
    if delay:
        plan(at + delay, task + STARTS, a)
    else:
        run(task, a)


@part
def run(task: int, a: Arrays) -> None:
    """A task that a worker has taken starts to run."""
    line, width = line_of(task, a), a.slots[task]
    a.lines[QUEUED, line] -= width
    a.lines[RUNNING_SLOTS, line] += width
    a.workers[BUSY, line, a.worker[task]] += width


@part
def free_slots(task: int, a: Arrays) -> None:
    """The slots of a task that has ended can be taken again."""
    line, worker, width = line_of(task, a), wide(a.worker[task]), a.slots[task]
    a.workers[FREE, line, worker] += width
    if a.workers[FREE, line, worker] == width:  # it was full
        join(line, worker, a)
