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
from simulations.compiled import borrowed, compiled, lowest_bit

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
QUEUED_AT, STARTED_AT, WAITED_BEFORE = range(3)  # the last: in tries that were lost


class Arrays(NamedTuple):
    """All that the events read and write."""

    state: IntArray
    queued_seconds: FloatArray
    """The trace's columns, a row a task."""
    duration_seconds: FloatArray
    slots: NumberArray
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
            word = (group << 5) + lowest_bit(a.groups[group])
            worker = (word << 5) + lowest_bit(a.words[word])
            if a.workers[FREE, worker] >= needed:
                return worker
            return _lowest_with_room(word, needed, a)
    return NOBODY


@compiled
def _lowest_with_room(first_word: int, needed: int, a: Arrays) -> int:
    for word in range(first_word, len(a.words)):
        left = a.words[word]
        while left:
            worker = (word << 5) + lowest_bit(left)
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
def _planned_at(a: Arrays) -> int:
    """The instant of the agenda's first entry."""
    return a.agenda[0, 0] if a.state[PLANNED] else NEVER


@compiled
def _end_all(at: int, tail: int, spare: int, a: Arrays) -> tuple[int, int]:
    """All task ends and slot releases of this instant.  The queue's end, and how many leaves are spare."""
    state, tree, leaves, workers = a.state, a.tree, a.leaves, a.workers
    shift, slot_tail = state[SHIFT], state[SLOT_TAIL]
    while tree[1] >> shift == at:
        leaf = tree[1] & ((1 << shift) - 1)
        task, worker = int(leaves[HELD_BY, leaf]), int(leaves[WORKER, leaf])
        if task >= 0:
            width = int(a.slots[task])
            state[RUNNING_SLOTS] -= width
            state[UNFINISHED] -= 1
            workers[BUSY, worker] -= width
            if len(a.waits_for):
                tail = _count_end(at, task, tail, a)
            if slot_tail:
                leaves[HELD_BY, leaf] = -width
                set_leaf(leaf, ((at + slot_tail) << shift) | leaf, tree)
                continue
        else:
            width = -task
        free = workers[FREE, worker] + width
        workers[FREE, worker] = free
        if free == width:  # it was full
            offer(worker, a)
        leaves[WORKER, leaf] = NOBODY
        leaves[SPARES, spare] = leaf
        spare += 1
        set_leaf(leaf, NEVER, tree)
    return tail, spare


@compiled
def _count_end(at: int, parent: int, tail: int, a: Arrays) -> int:
    """Children that are due now are queued.  The queue's end."""
    for edge in range(a.first_child[parent], a.first_child[parent + 1]):
        child = a.children[edge]
        a.waits_for[child] -= 1
        if a.waits_for[child] == 0:
            earliest = int(a.queued_seconds[child] * QUANTA_PER_SECOND)
            if earliest > at:
                plan(earliest, child + TASK, a)
            else:
                a.queue[tail] = child
                tail += 1
    return tail


@compiled
def _make_ready(at: int, a: Arrays) -> None:
    """All workers that become ready at this instant."""
    while _planned_at(a) == at and a.agenda[1, 0] < TASK:
        worker = _next_planned(a)
        if not a.workers[STOPPED, worker]:
            a.workers[RUNNING, worker] = 1
            a.state[RUNNING_WORKERS] += 1
            offer(worker, a)


@compiled
def _queue_planned(at: int, tail: int, a: Arrays) -> int:
    """All tasks that the agenda has for this instant.  The queue's end."""
    while _planned_at(a) == at:
        a.queue[tail] = _next_planned(a) - TASK
        tail += 1
    return tail


@compiled
def _queue_arrivals(at: int, tail: int, arrived: int, a: Arrays) -> tuple[int, int, int]:
    """All first arrivals of this instant.  The queue's end, how many have arrived, when the next one does."""
    order, arrives_at = a.order, at
    while arrives_at == at:
        a.queue[tail] = order[arrived]
        tail += 1
        arrived += 1
        arrives_at = NEVER
        if arrived < len(order):
            arrives_at = int(a.queued_seconds[order[arrived]] * QUANTA_PER_SECOND)
    return tail, arrived, arrives_at


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
def _start(at: int, now: float, head: int, tail: int, spare: int, a: Arrays) -> tuple[int, int]:
    """Starts tasks from the head of the queue while they fit.  Its head, and how many leaves are spare."""
    state, workers, leaves = a.state, a.workers, a.leaves
    shift = state[SHIFT]
    while head < tail:
        task = int(a.queue[head])
        needed = int(a.slots[task])
        worker = _lowest(needed, a)
        if worker == NOBODY:
            break
        head += 1
        free = workers[FREE, worker] - needed
        workers[FREE, worker] = free
        workers[BUSY, worker] += needed
        if free == 0:
            offer(worker, a)
        state[QUEUED_SLOTS] -= needed
        state[RUNNING_SLOTS] += needed
        a.outcome[STARTED_AT, task] = now
        end = at + int(a.duration_seconds[task] * QUANTA_PER_SECOND)
        if end > (NEVER >> shift) - 1:
            raise OverflowError("a task ends later than the simulator's clock can tell")
        spare -= 1
        leaf = int(leaves[SPARES, spare])
        leaves[HELD_BY, leaf] = task
        leaves[WORKER, leaf] = worker
        set_leaf(leaf, (end << shift) | leaf, a.tree)
    return head, spare


@compiled
def _to_the_front(head: int, tail: int, queue: NumberArray) -> int:
    """Moves the queue: then there is room for every task that can become due at an instant.  Its new end."""
    for place in range(tail - head):
        queue[place] = queue[head + place]
    return tail - head


@compiled
def _run(until: int, starts_at: float, a: Arrays) -> int:
    """Lets everything happen that is due up to and including `until`.  When the next thing is due."""
    state, tree, queue, tasks = a.state, a.tree, a.queue, len(a.queue) >> 1
    shift = state[SHIFT]
    head, tail, spare = state[HEAD], state[TAIL], state[SPARE]
    arrived, arrives_at, planned_at = state[ARRIVED], state[ARRIVES_AT], _planned_at(a)
    while True:
        at = min(tree[1] >> shift, arrives_at, planned_at, state[OPENED_AT])
        if at > until:
            break
        now = starts_at + at / QUANTA_PER_SECOND
        state[OPENED_AT] = NEVER
        if tail > tasks:
            head, tail = 0, _to_the_front(head, tail, queue)
        first = tail
        tail, spare = _end_all(at, tail, spare, a)
        if planned_at == at:
            _make_ready(at, a)
            tail = _queue_planned(at, tail, a)
        planned_at, unforeseen = _planned_at(a), tail > first
        if arrives_at == at:
            tail, arrived, arrives_at = _queue_arrivals(at, tail, arrived, a)
        if unforeseen:  # arrivals alone are in order, and when they come was known from the beginning
            _sort(first, tail, queue)
            for place in range(first, tail):
                a.outcome[QUEUED_AT, queue[place]] = now
        for place in range(first, tail):
            state[QUEUED_SLOTS] += a.slots[queue[place]]
        head, spare = _start(at, now, head, tail, spare, a)
    state[HEAD], state[TAIL], state[SPARE] = head, tail, spare
    state[ARRIVED], state[ARRIVES_AT] = arrived, arrives_at
    return at  # type: ignore[no-any-return]


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
def advance(until: int, starts_at: float, *arrays: Any) -> int:
    """Lets everything happen that is due up to and including `until`.  When the next thing is due.

    `arrays` are those of `Arrays`, one by one: that halves the cost of a call.
    """
    return _run(until, starts_at, _borrowed(Arrays(*arrays)))


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
        _run(look, starts_at, a)
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
            width = int(a.slots[task])
            state[RUNNING_SLOTS] -= width
            state[KILLED_TASKS] += 1
            started_at = a.outcome[STARTED_AT, task]
            a.outcome[WAITED_BEFORE, task] += started_at - a.outcome[QUEUED_AT, task]
            started = int((started_at - starts_at) * QUANTA_PER_SECOND)
            state[LOST_SLOT_QUANTA] += (at - started) * width
            again = at + state[RETRY_DELAY]
            a.outcome[QUEUED_AT, task] = starts_at + again / QUANTA_PER_SECOND
            plan(again, task + TASK, a)
        a.leaves[WORKER, leaf] = NOBODY
        a.leaves[SPARES, state[SPARE]] = leaf
        state[SPARE] += 1
        set_leaf(leaf, NEVER, a.tree)
    a.workers[BUSY, worker] = 0
