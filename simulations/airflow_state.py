"""What the compiled Airflow reads and writes: flat arrays, and what their rows mean.

An instant is a whole number of quanta (2^-16 s) since the trace's start.  A column of one value is kept
as an array of length 1; `of` reads both kinds.  A task is its row; lines, queues, pools and so on are
numbers; a worker is its number in its line.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.model import FloatArray, IntArray
from simulations.linked import part

NumberArray = NDArray[np.int32]

QUANTA_PER_SECOND = 65_536
NEVER = 2**63 - 1
NOBODY = -1
SKIPPED = -(2**40)
"""In `waits_for`: an ancestor has failed."""
LOW_BITS = 32
"""A key in a tree has its rank above and its number in so many bits below."""

# Places in `state`: counters that everybody may see ...
UNFINISHED, KILLED_TASKS, FAILED_TASKS, SKIPPED_TASKS, LOST_SLOT_QUANTA = range(5)
# ... what is due: entries in the heap, arrivals, openings, the next loop and the next queued timeout ...
PLANNED, ARRIVED, ARRIVES_AT, OPENED_AT, LOOP_AT, LOOPED_AT, TIMES_OUT_AT = range(5, 12)
# ... lists: tasks that the next loop sees first, workers that have got room ...
FRESH_TASKS, JOINED, SEQUENCE = range(12, 15)
OPEN_PARALLELISM = 15
# ... and rules.
LOOP_PERIOD, LOOP_PHASE, QUEUED_PER_LOOP, HEARTBEAT_TIMEOUT, RETRY_DELAY, RETRIES = range(16, 22)
QUEUED_TIMEOUT, REQUEUES, ROUND_ROBIN, CHOICE = range(22, 26)
STATE_SIZE = 26
ROTATION, FIRST_FIT, RANDOM = range(3)

# Rows of `outcome`.
SCHEDULED_AT, QUEUED_AT, STARTED_AT, WAITED = range(4)
# Rows of `luck`, in quanta.
DELAY, START_DELAY, PENALTY, TAIL = range(4)
# Rows of `links`: a heap of scheduled tasks has two; a task in a queue or on a list uses one.
LEFT, RIGHT = range(2)
# Rows of `counts`.
TRIES, TIMEOUTS = range(2)
# Rows of `classes`: tasks that the same limits hold up; `ROOT` is the first of them by rank.
POOL, WIDTH, OWNER, ROOT, PARKED, NEXT_PARKED = range(6)
# Rows of `pools` and of `owners` (DAGs or runs whose active tasks are limited).
OPEN, FIRST_PARKED = range(2)
# Rows of `runs`.
LEFT_TASKS, STATUS, DAG, FIRST_HELD, NEXT_WAITING = range(5)
UNKNOWN, WAITING, ACTIVE = range(3)
# Rows of `dags`.
OPEN_RUNS, FIRST_WAITING, LAST_WAITING = range(3)
# Rows of `queues`.
HEAD, END, LINE = range(3)
# Rows of `lines`.
FIRST_QUEUE, QUEUES, QUEUED, RUNNING_SLOTS, SCHEDULED, RUNNING_WORKERS, LAST_SERVED, NEXT_RANK = range(8)
# Rows of `workers`.
FREE, BUSY, RUNNING, CONSUMING, STOPPED, FRESH, JOINS = range(7)

# Kinds of planned events, in the order in which they happen at one instant.
KIND = 1 << 40
STARTS, ENDS, RELEASED, NOTICED, WORKER_READY, READY, ELIGIBLE = (number * KIND for number in range(7))
WORKER_BITS = 24
"""A ready worker's event has its line above so many bits, and its number in them."""


class Arrays(NamedTuple):
    """All of it."""

    state: IntArray
    queued_seconds: FloatArray
    duration_seconds: FloatArray
    slots: IntArray
    queue: NumberArray
    delay: IntArray
    """Quanta from the last parent's end."""
    limits: NumberArray
    """A task's class."""
    run: NumberArray
    """A task's run, if it is limited; empty where none is."""
    order: NumberArray
    """Tasks without parents in the order of their arrival."""
    first_child: IntArray
    children: IntArray
    waits_for: IntArray
    """Parents that have not ended; empty where no task has parents."""
    rank: NumberArray
    """A task's place in the scheduler's order; empty: its row."""
    luck: NumberArray
    lots: FloatArray
    links: NumberArray
    counts: NumberArray
    sequence: IntArray
    """When a task was queued, as a count; empty where nobody asks."""
    worker: NumberArray
    outcome: FloatArray
    agenda: IntArray
    """A binary heap of (instant, kind and number), a row each."""
    classes: IntArray
    class_tree: IntArray
    """A winner tree over the classes that may move: the first task of each, by rank."""
    pools: IntArray
    owners: IntArray
    runs: IntArray
    dags: IntArray
    queues: IntArray
    lines: IntArray
    workers: IntArray
    worker_tree: IntArray
    """For each line a winner tree over the workers that can take a task, in the order of the choice."""
    joined: IntArray


@part
def wide(number: Any) -> int:
    """A number of 32 bits as one of 64: for each kind of argument numba compiles another function."""
    return np.int64(number)  # type: ignore[return-value]


@part
def of(column: Any, task: int) -> int:
    """The task's value, also of a constant column."""
    return wide(column[task if len(column) > 1 else 0])


@part
def luck_of(task: int, luck: NumberArray) -> int:
    """One of the task's delays."""
    return wide(luck[task if len(luck) > 1 else 0])


@part
def rank_of(task: int, rank: NumberArray) -> int:
    """The task's place in the scheduler's order."""
    return wide(rank[task]) if len(rank) else task


@part
def run_of(task: int, run: NumberArray) -> int:
    """The task's run, if the active runs of its DAG are limited."""
    return wide(run[task]) if len(run) else NOBODY


@part
def line_of(task: int, a: Arrays) -> int:
    """The task's line."""
    return wide(a.queues[LINE, of(a.queue, task)])


@part
def set_key(place: int, key: int, tree: IntArray) -> None:
    """Gives a place in a winner tree another key."""
    node = place + (len(tree) >> 1)
    tree[node] = key
    while node > 1:
        key = min(key, tree[node ^ 1])
        node >>= 1
        tree[node] = key


@part
def plan(at: int, what: int, a: Arrays) -> None:
    """Puts an event on the agenda."""
    agenda, place = a.agenda, a.state[PLANNED]
    a.state[PLANNED] += 1
    while place:
        above = (place - 1) >> 1
        if agenda[above, 0] < at or (agenda[above, 0] == at and agenda[above, 1] <= what):
            break
        agenda[place, 0], agenda[place, 1] = agenda[above, 0], agenda[above, 1]
        place = above
    agenda[place, 0], agenda[place, 1] = at, what


@part
def take_first(a: Arrays) -> None:
    """Takes the first event off the agenda."""
    a.state[PLANNED] -= 1
    size = a.state[PLANNED]
    _sift_down(0, a.agenda[size, 0], a.agenda[size, 1], size, a.agenda)


@part
def _sift_down(place: int, at: int, what: int, size: int, agenda: IntArray) -> None:
    below = 2 * place + 1
    while below < size:
        right = below + 1
        if right < size and (
            agenda[right, 0] < agenda[below, 0]
            or (agenda[right, 0] == agenda[below, 0] and agenda[right, 1] < agenda[below, 1])
        ):
            below = right
        if at < agenda[below, 0] or (at == agenda[below, 0] and what < agenda[below, 1]):
            break
        agenda[place, 0], agenda[place, 1] = agenda[below, 0], agenda[below, 1]
        place, below = below, 2 * below + 1
    agenda[place, 0], agenda[place, 1] = at, what


@part
def make_heap(a: Arrays) -> None:
    """Puts an agenda from which something was cut out in order again."""
    size = a.state[PLANNED]
    for place in range((size >> 1) - 1, -1, -1):
        _sift_down(place, a.agenda[place, 0], a.agenda[place, 1], size, a.agenda)
