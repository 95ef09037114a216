"""The kernel's events, compiled: flat arrays come in and are changed in place.

`kernel` states the rules and owns the arrays; here is only what must be fast.  An instant is a whole
number of quanta (2^-16 s) since the trace's start.

A *leaf* is a place for one running task, or for the slots that it still takes after its end.  The leaves
are the bottom of a winner tree whose every node holds the smallest key below it.  A key is the instant at
which the leaf is due, with the leaf's number in the low `SHIFT` bits: the root says who is next, and when.
Workers that can take a task are bits in words of 32, and `groups` has a bit for every word that is not
empty: the lowest worker is found without a search.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.model import FloatArray, IntArray
from simulations.compiled import borrowed, compiled

NumberArray = NDArray[np.int32]

QUANTA_PER_SECOND = 65_536
NEVER = 2**63 - 1
"""The instant of what is not due, and the key of an empty leaf."""
NOBODY = -1
TASK = 1 << 32
"""Added to a task's number on the agenda: at one instant workers become ready before tasks are queued."""

# Places in `state`.
UNFINISHED, QUEUED_SLOTS, RUNNING_SLOTS, RUNNING_WORKERS, KILLED_TASKS, LOST_SLOT_QUANTA = range(6)
HEAD, TAIL = 6, 7  # the queue is `queue[HEAD:TAIL]`
ARRIVED, ARRIVES_AT = 8, 9  # how many of `order` have arrived, and when the next one does
PLANNED, SPARE, SHIFT = 10, 11, 12  # entries on the agenda, spare leaves, bits of a leaf's number
OPENED_AT = 13  # when an intake was opened that nothing has looked at yet
SLOT_TAIL, RETRY_DELAY = 14, 15
ALIVE_AT, UNFINISHED_SEEN = 16, 17  # see `rest`
STATE_SIZE = 18

# Rows of `workers`.
FREE, BUSY, RUNNING, CONSUMING, STOPPED = range(5)
# Rows of `leaves`: a task (or minus the slots of a tail), its worker, and a stack of spare leaves.
HELD_BY, WORKER, SPARES = range(3)
# Rows of `outcome`.
QUEUED_AT, STARTED_AT, WAITED = range(3)

# Shifted left by 0 to 31, the top five bits of this number are different each time.
_DE_BRUIJN = 0x077CB531
_PLACE = np.zeros(32, dtype=np.int64)
for _shift in range(32):
    _PLACE[((_DE_BRUIJN << _shift) & 0xFFFFFFFF) >> 27] = _shift


class Arrays(NamedTuple):
    """All that the events read and write."""

    state: IntArray
    queued_seconds: FloatArray
    """The trace's columns, a row a task."""
    duration_seconds: FloatArray
    slots: IntArray
    order: NumberArray
    """Tasks without parents in the order of their arrival."""
    first_child: IntArray
    children: IntArray
    waits_for: IntArray
    """Parents that have not ended; empty where no task has parents."""
    queue: NumberArray
    outcome: FloatArray
    """See its rows, a column a task; Unix seconds and seconds."""
    agenda: IntArray
    """A binary heap of (instant, worker that becomes ready or task that is queued), a column each."""
    tree: IntArray
    leaves: NumberArray
    workers: IntArray
    words: IntArray
    groups: IntArray


@compiled
def _lowest_bit(word: int) -> int:
    return _PLACE[(((word & -word) * _DE_BRUIJN) & 0xFFFFFFFF) >> 27]  # type: ignore[no-any-return]


@compiled
def offer(worker: int, a: Arrays) -> None:
    """Sets or clears the worker's bit: whether it can take a task."""
    workers, word, bit = a.workers, worker >> 5, 1 << (worker & 31)
    if workers[FREE, worker] > 0 and workers[RUNNING, worker] and workers[CONSUMING, worker]:
        a.words[word] |= bit
        a.groups[word >> 5] |= 1 << (word & 31)
    else:
        a.words[word] &= ~bit
        if a.words[word] == 0:
            a.groups[word >> 5] &= ~(1 << (word & 31))


@compiled
def _lowest(needed: int, a: Arrays) -> int:
    """The lowest-numbered worker with that many free slots."""
    for group in range(len(a.groups)):
        if a.groups[group]:
            word = (group << 5) + _lowest_bit(a.groups[group])
            worker = (word << 5) + _lowest_bit(a.words[word])
            if a.workers[FREE, worker] >= needed:
                return worker
            return _lowest_with_room(word, needed, a)
    return NOBODY


@compiled
def _lowest_with_room(first_word: int, needed: int, a: Arrays) -> int:
    for word in range(first_word, len(a.words)):
        left = a.words[word]
        while left:
            worker = (word << 5) + _lowest_bit(left)
            if a.workers[FREE, worker] >= needed:
                return worker
            left &= left - 1
    return NOBODY


@compiled
def set_leaf(leaf: int, key: int, tree: IntArray) -> None:
    """Gives a leaf another key."""
    node = leaf + (len(tree) >> 1)
    tree[node] = key
    while node > 1:
        key = min(key, tree[node ^ 1])
        node >>= 1
        tree[node] = key


@compiled
def _occupy(leaf: int, key: int, tree: IntArray) -> None:
    """Gives an empty leaf a key: most keys are due later than others near by, and the way up is short."""
    node = leaf + (len(tree) >> 1)
    while node and tree[node] > key:
        tree[node] = key
        node >>= 1


@compiled
def _vacate(leaf: int, a: Arrays) -> None:
    a.leaves[WORKER, leaf] = NOBODY
    a.leaves[SPARES, a.state[SPARE]] = leaf
    a.state[SPARE] += 1
    set_leaf(leaf, NEVER, a.tree)


@compiled
def plan(at: int, what: int, a: Arrays) -> None:
    """Puts a worker, or `TASK` and a task's number, on the agenda."""
    agenda, place = a.agenda, a.state[PLANNED]
    a.state[PLANNED] += 1
    while place:
        above = (place - 1) >> 1
        if agenda[0, above] < at or (agenda[0, above] == at and agenda[1, above] <= what):
            break
        agenda[0, place], agenda[1, place] = agenda[0, above], agenda[1, above]
        place = above
    agenda[0, place], agenda[1, place] = at, what


@compiled
def _next_planned(a: Arrays) -> int:
    """Takes the first entry off the agenda: a worker, or `TASK` and a task's number."""
    agenda = a.agenda
    first = agenda[1, 0]
    a.state[PLANNED] -= 1
    size = a.state[PLANNED]
    at, what, place, below = agenda[0, size], agenda[1, size], 0, 1
    while below < size:
        right = below + 1
        if right < size and (
            agenda[0, right] < agenda[0, below]
            or (agenda[0, right] == agenda[0, below] and agenda[1, right] < agenda[1, below])
        ):
            below = right
        if at < agenda[0, below] or (at == agenda[0, below] and what < agenda[1, below]):
            break
        agenda[0, place], agenda[1, place] = agenda[0, below], agenda[1, below]
        place, below = below, 2 * below + 1
    agenda[0, place], agenda[1, place] = at, what
    return first  # type: ignore[no-any-return]


@compiled
def _next_due(a: Arrays) -> int:
    """The instant of the next event."""
    at = min(a.tree[1] >> a.state[SHIFT], a.state[ARRIVES_AT], a.state[OPENED_AT])
    if a.state[PLANNED]:
        at = min(at, a.agenda[0, 0])
    return at  # type: ignore[no-any-return]


@compiled
def _end_all(at: int, a: Arrays) -> None:
    """All task ends and slot releases of this instant."""
    state, tree, leaves, workers = a.state, a.tree, a.leaves, a.workers
    shift = state[SHIFT]
    while tree[1] >> shift == at:
        leaf = tree[1] & ((1 << shift) - 1)
        task, worker = int(leaves[HELD_BY, leaf]), int(leaves[WORKER, leaf])
        if task >= 0:
            width = a.slots[task]
            state[RUNNING_SLOTS] -= width
            state[UNFINISHED] -= 1
            workers[BUSY, worker] -= width
            if len(a.waits_for):
                _count_end(at, task, a)
            if state[SLOT_TAIL]:
                leaves[HELD_BY, leaf] = -width
                set_leaf(leaf, ((at + state[SLOT_TAIL]) << shift) | leaf, tree)
                continue
        else:
            width = -task
        workers[FREE, worker] += width
        if workers[FREE, worker] == width:  # it was full
            offer(worker, a)
        _vacate(leaf, a)


@compiled
def _count_end(at: int, parent: int, a: Arrays) -> None:
    """Children that are due now stand behind the queue's end until `_queue_due` takes them in."""
    for edge in range(a.first_child[parent], a.first_child[parent + 1]):
        child = a.children[edge]
        a.waits_for[child] -= 1
        if a.waits_for[child] == 0:
            earliest = int(a.queued_seconds[child] * QUANTA_PER_SECOND)
            if earliest > at:
                plan(earliest, child + TASK, a)
            else:
                a.queue[a.state[TAIL]] = child
                a.state[TAIL] += 1


@compiled
def _make_ready(at: int, a: Arrays) -> None:
    """All workers that become ready at this instant."""
    while a.state[PLANNED] and a.agenda[0, 0] == at and a.agenda[1, 0] < TASK:
        worker = _next_planned(a)
        if not a.workers[STOPPED, worker]:
            a.workers[RUNNING, worker] = 1
            a.state[RUNNING_WORKERS] += 1
            offer(worker, a)


@compiled
def _sort(first: int, tail: int, queue: NumberArray) -> None:
    """Few, and nearly in order, as siblings are: by insertion, which allocates nothing."""
    if tail - first > 32:
        queue[first:tail].sort()
        return
    for place in range(first + 1, tail):
        task, below = queue[place], place
        while below > first and queue[below - 1] > task:
            queue[below] = queue[below - 1]
            below -= 1
        queue[below] = task


@compiled
def _queue_due(at: int, now: float, first: int, a: Arrays) -> None:
    """Queues all that is due at this instant, by row.  What stands from `first` on is due already."""
    state, queue, order = a.state, a.queue, a.order
    tail = state[TAIL]
    while state[PLANNED] and a.agenda[0, 0] == at:
        queue[tail] = _next_planned(a) - TASK
        tail += 1
    in_order = tail == first  # arrivals alone are sorted
    if state[ARRIVES_AT] == at:
        arrived, arrives_at = state[ARRIVED], at
        while arrives_at == at:
            queue[tail] = order[arrived]
            tail += 1
            arrived += 1
            arrives_at = NEVER
            if arrived < len(order):
                arrives_at = int(a.queued_seconds[order[arrived]] * QUANTA_PER_SECOND)
        state[ARRIVED], state[ARRIVES_AT] = arrived, arrives_at
    if not in_order:
        _sort(first, tail, queue)
    for place in range(first, tail):
        task = queue[place]
        a.outcome[QUEUED_AT, task] = now
        state[QUEUED_SLOTS] += a.slots[task]
    state[TAIL] = tail


@compiled
def _start(at: int, now: float, a: Arrays) -> None:
    """Starts tasks from the head of the queue while they fit."""
    state, workers, outcome = a.state, a.workers, a.outcome
    shift = state[SHIFT]
    while state[HEAD] < state[TAIL]:
        task = int(a.queue[state[HEAD]])
        needed = a.slots[task]
        worker = _lowest(needed, a)
        if worker == NOBODY:
            return
        state[HEAD] += 1
        workers[FREE, worker] -= needed
        workers[BUSY, worker] += needed
        if workers[FREE, worker] == 0:
            offer(worker, a)
        state[QUEUED_SLOTS] -= needed
        state[RUNNING_SLOTS] += needed
        outcome[STARTED_AT, task] = now
        outcome[WAITED, task] += now - outcome[QUEUED_AT, task]
        end = at + int(a.duration_seconds[task] * QUANTA_PER_SECOND)
        if end > (NEVER >> shift) - 1:
            raise OverflowError("a task ends later than the simulator's clock can tell")
        state[SPARE] -= 1
        leaf = int(a.leaves[SPARES, state[SPARE]])
        a.leaves[HELD_BY, leaf] = task
        a.leaves[WORKER, leaf] = worker
        _occupy(leaf, (end << shift) | leaf, a.tree)


@compiled
def _make_room(a: Arrays) -> None:
    """Moves the queue to the front: then there is room for every task that can become due at an instant."""
    state = a.state
    waiting = state[TAIL] - state[HEAD]
    for place in range(waiting):
        a.queue[place] = a.queue[state[HEAD] + place]
    state[HEAD], state[TAIL] = 0, waiting


@compiled
def _borrowed(a: Arrays) -> Arrays:
    """The same arrays, whose references nobody counts."""
    return Arrays(
        borrowed(a.state),
        borrowed(a.queued_seconds),
        borrowed(a.duration_seconds),
        borrowed(a.slots),
        borrowed(a.order),
        borrowed(a.first_child),
        borrowed(a.children),
        borrowed(a.waits_for),
        borrowed(a.queue),
        borrowed(a.outcome),
        borrowed(a.agenda),
        borrowed(a.tree),
        borrowed(a.leaves),
        borrowed(a.workers),
        borrowed(a.words),
        borrowed(a.groups),
    )


@compiled
def _happen(at: int, starts_at: float, a: Arrays) -> None:
    """All that is due at this instant, once."""
    state = a.state
    now = starts_at + at / QUANTA_PER_SECOND
    state[OPENED_AT] = NEVER
    if state[TAIL] > len(a.queue) >> 1:
        _make_room(a)
    first = state[TAIL]
    _end_all(at, a)
    _make_ready(at, a)
    if state[TAIL] > first or state[ARRIVES_AT] == at or state[PLANNED]:
        _queue_due(at, now, first, a)
    _start(at, now, a)


@compiled
def advance(until: int, starts_at: float, *arrays: Any) -> int:
    """Lets everything happen that is due up to and including `until`.  When the next thing is due.

    `arrays` are those of `Arrays`, one by one: that halves the cost of a call.
    """
    a = _borrowed(Arrays(*arrays))
    while True:
        at = _next_due(a)
        if at > until:
            return at
        _happen(at, starts_at, a)


@compiled
def rest(
    look: int,
    step: int,
    until: int,
    lowest: int,
    highest: int,
    quiet_until: int,
    starts_at: float,
    *arrays: Any,
) -> int:
    """Lets time pass from look to look, the first at `look`, while they show nothing but what is expected.

    That is: before `until`, tasks are left, none is queued, and from `lowest` to `highest` slots run.  How
    many looks passed so; all that is due up to the one after them has happened too.  `ALIVE_AT` is the last
    of them at which a task had ended since the one before, or no task ran up to `quiet_until`;
    `UNFINISHED_SEEN` is what was left at the last.
    """
    a = _borrowed(Arrays(*arrays))
    state, looks, unfinished = a.state, 0, a.state[UNFINISHED]
    state[ALIVE_AT] = NEVER
    while look < until:
        at = _next_due(a)
        while at <= look:
            _happen(at, starts_at, a)
            at = _next_due(a)
        running = state[RUNNING_SLOTS]
        if state[QUEUED_SLOTS] or not lowest <= running <= highest or not state[UNFINISHED]:
            break
        if state[UNFINISHED] < unfinished or (not running and look <= quiet_until):
            unfinished = state[UNFINISHED]
            state[ALIVE_AT] = look
        looks += 1
        look += step
    state[UNFINISHED_SEEN] = unfinished
    return looks


@compiled
def stop(worker: int, at: int, starts_at: float, a: Arrays) -> None:
    """Loses what a worker runs at `at`; its slots are gone."""
    state = a.state
    for leaf in range(a.leaves.shape[1]):
        if a.leaves[WORKER, leaf] != worker:
            continue
        task = int(a.leaves[HELD_BY, leaf])
        if task >= 0:
            width = a.slots[task]
            state[RUNNING_SLOTS] -= width
            state[KILLED_TASKS] += 1
            started = int((a.outcome[STARTED_AT, task] - starts_at) * QUANTA_PER_SECOND)
            state[LOST_SLOT_QUANTA] += (at - started) * width
            plan(at + state[RETRY_DELAY], task + TASK, a)
        _vacate(leaf, a)
    a.workers[BUSY, worker] = 0
