"""Tasks on slots between two looks: one queue, many workers, exact times.

The rules, to the last start time:
1. The queue is first in, first out, and strict: while its head fits nowhere, nobody behind it starts.
2. A task starts on the lowest-numbered worker that takes tasks and has enough free slots.
3. A task with parents is queued at `queued_at` or when the last parent ends, whichever is later.
4. At one instant: all task ends and slot releases, then workers that become ready or open, then tasks
   that are queued (by row), then starts.  What that makes due at the same instant (a task of no length
   ends) happens in a further round.  Whoever looks, looks after all of it; what they change counts from
   that instant on.
5. A slot stays taken for `slot_tail_seconds` after its task's end.  The tail is no load: nobody sees it
   but the queue.
6. Stopping a worker loses what it runs.  A lost task is nobody's load until it is queued again,
   `retry_delay_seconds` later, behind whoever waits then, for its whole duration.
"""

from __future__ import annotations

from math import ceil, floor
from typing import NamedTuple

import numpy as np

from policies.lull import Lull
from policies.model import FloatArray, IntArray
from simulations import events
from simulations.events import NEVER, Arrays
from simulations.parents import children_of
from simulations.trace import QUANTA_PER_SECOND, Trace

INFINITY = float("inf")
_FEWEST_LEAVES, _FEWEST_WORKERS = 64, 64
_LATEST_SECONDS = 2.0**40
"""Later than any look, and still an instant."""


class Rest(NamedTuple):
    """Looks that were passed over, because they showed nothing new."""

    looks: int
    progressed_at: float | None
    """The last of them that saw progress: a task had ended since the look before."""
    unfinished: int
    """Tasks that were left at the last."""


class Kernel:
    """The mutable inside of a world.  Times are Unix seconds, multiples of `trace.quantised`."""

    __slots__ = (
        "_arrays",
        "_due_at",
        "_duration_seconds",
        "_existing",
        "_head",
        "_slots_per_worker",
        "_starts_at",
        "_workers",
        "failed_tasks",
        "killed_tasks",
        "now",
        "queued_slots",
        "running_slots",
        "running_workers",
        "scheduled_slots",
        "skipped_tasks",
        "unfinished",
    )

    def __init__(
        self,
        trace: Trace,
        *,
        slots_per_worker: int,
        slot_tail_seconds: float = 0.0,
        retry_delay_seconds: float = 0.0,
    ) -> None:
        # What only a modelled Airflow knows.
        self.scheduled_slots = self.failed_tasks = self.skipped_tasks = 0
        self._slots_per_worker = slots_per_worker
        self._starts_at = self.now = trace.starts_at
        self._duration_seconds = trace.duration_seconds
        self._workers = self._existing = 0
        self._arrays = _arrays(trace)
        state = self._arrays.state
        state[events.SLOT_TAIL] = slot_tail_seconds * QUANTA_PER_SECOND
        state[events.RETRY_DELAY] = retry_delay_seconds * QUANTA_PER_SECOND
        self._due_at = 0
        """No later than the next event; an instant as in `events`."""
        self._read()

    def _read(self) -> None:
        state = self._arrays.state.tolist()
        self.unfinished: int = state[events.UNFINISHED]
        self.queued_slots: int = state[events.QUEUED_SLOTS]
        self.running_slots: int = state[events.RUNNING_SLOTS]
        self.running_workers: int = state[events.RUNNING_WORKERS]
        self.killed_tasks: int = state[events.KILLED_TASKS]
        waits = state[events.HEAD] < state[events.TAIL]
        self._head = int(self._arrays.queue[state[events.HEAD]]) if waits else events.NOBODY

    @property
    def oldest_wait_seconds(self) -> float:
        """How long the head of the queue has waited."""
        return self.now - float(self.queued_at[self._head]) if self._head != events.NOBODY else 0.0

    @property
    def lost_slot_seconds(self) -> float:
        """Slot time of lost tasks."""
        return int(self._arrays.state[events.LOST_SLOT_QUANTA]) / QUANTA_PER_SECOND

    @property
    def queued_at(self) -> FloatArray:
        """When each task was queued, the last time if it was lost, or will be, as far as that is known."""
        column: FloatArray = self._arrays.outcome[events.QUEUED_AT]
        return column

    @property
    def started_at(self) -> FloatArray:
        """When each task started, the last time if it was lost."""
        column: FloatArray = self._arrays.outcome[events.STARTED_AT]
        return column

    @property
    def ends_at(self) -> FloatArray:
        """When each started task ends, or would have ended if it was lost."""
        ends: FloatArray = self.started_at + self._duration_seconds
        return ends

    @property
    def waited_seconds(self) -> FloatArray:
        """Time in the queue, over all tries."""
        outcome = self._arrays.outcome
        waited: FloatArray = outcome[events.STARTED_AT] - outcome[events.QUEUED_AT]
        # Nobody has waited for a start that is yet to come, be it the first or the next.
        np.fmax(waited, 0.0, out=waited)
        waited += outcome[events.WAITED_BEFORE]
        return waited

    @property
    def busy_slots(self) -> IntArray:
        """Slots of running tasks, by worker."""
        column: IntArray = self._arrays.workers[events.BUSY]
        return column

    @property
    def running(self) -> IntArray:
        """1 where a worker is ready and not stopped, by worker."""
        column: IntArray = self._arrays.workers[events.RUNNING]
        return column

    @property
    def consuming(self) -> IntArray:
        """1 where a worker's intake is open, by worker."""
        column: IntArray = self._arrays.workers[events.CONSUMING]
        return column

    def running_tasks(self) -> tuple[IntArray, IntArray]:
        """The rows of the tasks that run, and the worker of each."""
        leaves = self._arrays.leaves
        held = np.flatnonzero((leaves[events.HELD_BY] >= 0) & (leaves[events.WORKER] != events.NOBODY))
        return leaves[events.HELD_BY, held], leaves[events.WORKER, held]

    def busy_until(self, worker: int) -> float:
        """When the worker's last slot is free again if it takes no more tasks; now if all are free."""
        arrays = self._arrays
        mine = np.flatnonzero(arrays.leaves[events.WORKER] == worker)
        if not len(mine):
            return self.now
        state, tree = arrays.state, arrays.tree
        due_at = tree[len(tree) >> 1 :][mine] >> state[events.SHIFT]
        tails = np.where(arrays.leaves[events.HELD_BY, mine] >= 0, state[events.SLOT_TAIL], 0)
        return self._starts_at + int((due_at + tails).max()) / QUANTA_PER_SECOND

    def launch(self, ready_at: float) -> int:
        """The number of a new worker that takes tasks from `ready_at` on.  Numbers count up from 0."""
        worker = self._workers
        self._workers += 1
        self._existing += 1
        self._grow()
        workers = self._arrays.workers
        workers[events.FREE, worker] = self._slots_per_worker
        workers[events.CONSUMING, worker] = 1
        at = self._instant(ready_at)
        events.plan(at, worker, self._arrays)
        self._due_at = min(self._due_at, at)
        return worker

    def take_tasks(self, worker: int, *, consuming: bool) -> None:
        """Opens or closes a worker's intake."""
        self._arrays.workers[events.CONSUMING, worker] = consuming
        events.offer(worker, self._arrays)
        if consuming:
            at = self._instant(self.now)
            self._arrays.state[events.OPENED_AT] = at
            self._due_at = min(self._due_at, at)

    def stop(self, worker: int) -> None:
        """Stops a worker now, running or not yet."""
        arrays = self._arrays
        workers = arrays.workers
        self._existing -= 1
        if workers[events.RUNNING, worker]:
            arrays.state[events.RUNNING_WORKERS] -= 1
        workers[events.RUNNING, worker], workers[events.STOPPED, worker] = 0, 1
        events.offer(worker, arrays)
        if workers[events.FREE, worker] < self._slots_per_worker:
            at = self._instant(self.now)
            events.stop(worker, at, self._starts_at, arrays)
            self._due_at = min(self._due_at, at)
        self._read()

    def advance(self, until: float) -> None:
        """Lets everything happen that is due up to and including `until`.

        Raises `OverflowError` some years after the trace's start: the more slots, the fewer (4 years with
        a million slots, 270 with 16,000).
        """
        instant = floor((until - self._starts_at) * QUANTA_PER_SECOND)
        if instant >= self._due_at:
            if instant >= NEVER >> int(self._arrays.state[events.SHIFT]):
                years = (until - self._starts_at) / 31_557_600
                raise OverflowError(f"{years:.0f} years after the trace's start is later than can be told")
            self._due_at = events.advance(instant, self._starts_at, *self._arrays)
            self._read()
        self.now = until

    def rest(self, look: float, step_seconds: float, lull: Lull, quiet_until: float) -> Rest:
        """Passes over the looks at `look`, a step later, and so on, for as long as they are of the lull.

        Of the lull is a look before its end at which tasks are left, none waits, and from `lowest` to
        `highest` slots run.  All that is due up to the first look that is not has happened; `now` is the
        last one that was passed over.  `quiet_until`: until then having nothing to run counts as progress.
        """
        ends_at = min(lull.until, self._starts_at + _LATEST_SECONDS)
        looks = events.rest(
            self._instant(look),
            round(step_seconds * QUANTA_PER_SECOND),
            self._instant(ends_at),
            lull.lowest,
            lull.highest,
            self._instant(quiet_until),
            self._starts_at,
            *self._arrays,
        )
        self._due_at = 0
        self._read()
        if looks:
            self.now = look + (looks - 1) * step_seconds
        alive_at, unfinished = self._arrays.state[[events.ALIVE_AT, events.UNFINISHED_SEEN]].tolist()
        progressed_at = None if alive_at == NEVER else self._starts_at + alive_at / QUANTA_PER_SECOND
        return Rest(looks, progressed_at, unfinished)

    def _instant(self, at: float) -> int:
        return ceil((at - self._starts_at) * QUANTA_PER_SECOND)

    def _grow(self) -> None:
        arrays, tasks = self._arrays, len(self._duration_seconds)
        if self._workers > arrays.workers.shape[1]:
            arrays = _with_workers(arrays, 2 * self._workers, tasks)
        needed = min(self._existing * self._slots_per_worker, tasks)
        if needed > arrays.leaves.shape[1]:
            arrays = _with_leaves(arrays, needed)
        self._arrays = arrays


def _arrays(trace: Trace) -> Arrays:
    """The arrays before the first event, for no workers."""
    tasks = len(trace)
    nothing = np.empty(0, dtype=np.int64)
    roots, queued_seconds = np.arange(tasks, dtype=np.int32), trace.queued_at
    first_child = children = waits_for = nothing
    if len(trace.edge_child):
        first_child, children = children_of(tasks, trace.edge_parent, trace.edge_child)
        waits_for = np.bincount(trace.edge_child, minlength=tasks)
        roots = np.flatnonzero(waits_for == 0).astype(np.int32)
        queued_seconds = queued_seconds[roots]
    if np.any(queued_seconds[1:] < queued_seconds[:-1]):
        roots = roots[np.argsort(queued_seconds, kind="stable")]
    state = np.zeros(events.STATE_SIZE, dtype=np.int64)
    state[events.UNFINISHED] = tasks
    state[events.ARRIVES_AT] = trace.queued_at[roots[0]] * QUANTA_PER_SECOND
    state[events.OPENED_AT] = NEVER
    outcome = np.zeros((3, tasks))
    np.add(trace.queued_at, trace.starts_at, out=outcome[events.QUEUED_AT])
    outcome[events.STARTED_AT] = np.nan
    none = Arrays(
        state=state,
        queued_seconds=_plain(trace.queued_at, np.float64),
        duration_seconds=_plain(trace.duration_seconds, np.float64),
        slots=_plain(trace.slots, np.int32),
        order=roots,
        first_child=first_child,
        children=children,
        waits_for=waits_for,
        # Each task stands in it once; as much again, so that it is seldom moved to the front.
        queue=np.empty(2 * tasks, dtype=np.int32),
        outcome=outcome,
        agenda=np.empty((2, 0), dtype=np.int64),
        tree=np.full(2, NEVER),
        leaves=np.empty((3, 0), dtype=np.int32),
        workers=np.zeros((5, 0), dtype=np.int64),
        words=nothing,
        groups=nothing,
    )
    return _with_leaves(_with_workers(none, _FEWEST_WORKERS, tasks), _FEWEST_LEAVES)


def _plain(column: FloatArray | IntArray, dtype: type) -> np.ndarray:
    """The column as compiled code expects it: contiguous, writeable, of exactly this type."""
    return np.require(column, dtype, ["C", "W"])


def _with_workers(arrays: Arrays, count: int, tasks: int) -> Arrays:
    """The same with room for more workers."""
    words = -(-count // 32)
    agenda = np.empty((2, tasks + 32 * words), dtype=np.int64)
    planned = arrays.state[events.PLANNED]
    agenda[:, :planned] = arrays.agenda[:, :planned]
    return arrays._replace(
        workers=_widened(arrays.workers, 32 * words),
        words=_widened(arrays.words, words),
        groups=_widened(arrays.groups, -(-words // 32)),
        agenda=agenda,
    )


def _widened(old: IntArray, length: int) -> IntArray:
    new = np.zeros((*old.shape[:-1], length), dtype=np.int64)
    new[..., : old.shape[-1]] = old
    return new


def _with_leaves(arrays: Arrays, needed: int) -> Arrays:
    """The same with at least so many leaves, a power of two: keys and tree are made anew."""
    state, old = arrays.state, arrays.leaves.shape[1]
    shift = (needed - 1).bit_length()
    count = 1 << shift
    keys = arrays.tree[len(arrays.tree) >> 1 :][:old]
    due_at, number = keys >> state[events.SHIFT], np.arange(old)
    tree = np.full(2 * count, NEVER)
    if old and due_at[keys != NEVER].max(initial=0) >= NEVER >> shift:
        raise OverflowError("with so many slots the simulator's clock cannot tell when a task ends")
    tree[count : count + old] = np.where(keys == NEVER, NEVER, (due_at << shift) | number)
    level = count
    while level > 1:
        level >>= 1
        tree[level : 2 * level] = np.minimum(
            tree[2 * level : 4 * level : 2], tree[2 * level + 1 : 4 * level : 2]
        )
    leaves = np.full((3, count), events.NOBODY, dtype=np.int32)
    leaves[:, :old] = arrays.leaves
    spare = int(state[events.SPARE])
    # The lowest are taken first: few leaves in use lie close together.
    leaves[events.SPARES, spare : spare + count - old] = np.arange(count - 1, old - 1, -1)
    state[events.SPARE], state[events.SHIFT] = spare + count - old, shift
    return arrays._replace(tree=tree, leaves=leaves)
