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

from array import array
from collections import deque
from heapq import heappop, heappush

import numpy as np

from simulations.parents import children_of
from simulations.trace import Trace

INFINITY = float("inf")
_END, _RELEASE, _READY, _OPENED, _QUEUED, _NEVER = range(6)
NOWHERE = -1


class Kernel:
    """The mutable inside of a world.  Times are Unix seconds, multiples of `trace.quantised`."""

    __slots__ = (
        "_arrivals",
        "_children",
        "_duration",
        "_earliest",
        "_first_child",
        "_free",
        "_heap",
        "_listed",
        "_next_arrival",
        "_open",
        "_order",
        "_queue",
        "_retry_delay_seconds",
        "_slots",
        "_slots_per_worker",
        "_stopped",
        "_tail_seconds",
        "_waits_for",
        "_worker_of",
        "busy_slots",
        "consuming",
        "ends_at",
        "killed_tasks",
        "lost_slot_seconds",
        "now",
        "queued_at",
        "queued_slots",
        "running",
        "running_slots",
        "running_workers",
        "started_at",
        "unfinished",
        "waited_seconds",
    )

    def __init__(
        self,
        trace: Trace,
        *,
        slots_per_worker: int,
        slot_tail_seconds: float = 0.0,
        retry_delay_seconds: float = 0.0,
    ) -> None:
        self._slots_per_worker = slots_per_worker
        self._tail_seconds = slot_tail_seconds
        self._retry_delay_seconds = retry_delay_seconds
        self._take_tasks(trace)
        self.now = trace.starts_at
        self._heap: list[tuple[float, int, int]] = [(INFINITY, _NEVER, 0)]
        self._queue: deque[int] = deque()
        # Per worker, numbered in the order of their launch.
        self.running: list[bool] = []
        self.consuming: list[bool] = []
        self.busy_slots: list[int] = []
        """Slots of running tasks."""
        self._free: list[int] = []
        self._open: list[int] = []
        """A heap of workers that may take a task; one that cannot is dropped when it surfaces."""
        self._listed: list[bool] = []
        self._stopped: list[bool] = []
        self.queued_slots = 0
        self.running_slots = 0
        self.running_workers = 0
        self.killed_tasks = 0
        self.lost_slot_seconds = 0.0

    def _take_tasks(self, trace: Trace) -> None:
        tasks = len(trace)
        earliest = trace.starts_at + trace.queued_at
        waits_for = np.bincount(trace.edge_child, minlength=tasks)
        roots = np.flatnonzero(waits_for == 0)
        roots = roots[np.argsort(earliest[roots], kind="stable")]
        self._order: list[int] = roots.tolist()
        self._arrivals: list[float] = [*earliest[roots].tolist(), INFINITY]
        self._next_arrival = 0
        self._earliest: list[float] = earliest.tolist() if len(roots) < tasks else []
        self._waits_for: list[int] = waits_for.tolist() if len(roots) < tasks else []
        first, children = children_of(tasks, trace.edge_parent, trace.edge_child)
        self._first_child: list[int] = first.tolist() if len(roots) < tasks else []
        self._children: list[int] = children.tolist()
        self._duration: list[float] = trace.duration_seconds.tolist()
        self._slots: list[int] = trace.slots.tolist()
        self._worker_of = array("l", [NOWHERE]) * tasks
        nothing = array("d", [float("nan")])
        self.queued_at = nothing * tasks
        """When each task was queued, the last time if it was lost."""
        self.started_at = nothing * tasks
        self.ends_at = nothing * tasks
        self.waited_seconds = array("d", [0.0]) * tasks
        """Time in the queue, over all tries."""
        self.unfinished = tasks

    @property
    def oldest_wait_seconds(self) -> float:
        """How long the head of the queue has waited."""
        return self.now - self.queued_at[self._queue[0]] if self._queue else 0.0

    def launch(self, ready_at: float) -> int:
        """The number of a new worker that takes tasks from `ready_at` on."""
        worker = len(self._free)
        self.running.append(False)
        self.consuming.append(True)
        self.busy_slots.append(0)
        self._free.append(self._slots_per_worker)
        self._listed.append(False)
        self._stopped.append(False)
        heappush(self._heap, (ready_at, _READY, worker))
        return worker

    def take_tasks(self, worker: int, *, consuming: bool) -> None:
        """Opens or closes a worker's intake."""
        self.consuming[worker] = consuming
        if consuming:
            heappush(self._heap, (self.now, _OPENED, worker))

    def stop(self, worker: int) -> None:
        """Stops a worker now, running or not yet."""
        if self.running[worker]:
            self.running_workers -= 1
        self.running[worker], self._stopped[worker] = False, True
        if self.busy_slots[worker]:
            lost = [
                task
                for at, kind, task in self._heap
                if kind == _END and self._worker_of[task] == worker and self.ends_at[task] == at
            ]
            for task in sorted(set(lost)):
                self._lose(task)
            self.busy_slots[worker] = 0

    def _lose(self, task: int) -> None:
        self._worker_of[task] = NOWHERE
        self.running_slots -= self._slots[task]
        self.killed_tasks += 1
        self.lost_slot_seconds += (self.now - self.started_at[task]) * self._slots[task]
        heappush(self._heap, (self.now + self._retry_delay_seconds, _QUEUED, task))

    def advance(self, until: float) -> None:
        """Lets everything happen that is due up to and including `until`."""
        heap, arrivals = self._heap, self._arrivals
        while True:
            at, arrival = heap[0][0], arrivals[self._next_arrival]
            at = min(at, arrival)
            if at > until:
                break
            self.now = at
            if heap[0][0] == at:
                self._settle(at)
            if arrival == at or heap[0][0] == at:
                self._arrive(at)
            if self._queue:
                self._start(at)
        self.now = until

    def _settle(self, at: float) -> None:
        """Ends, releases, workers that become ready; up to the tasks that are queued now."""
        heap, ends_at, worker_of = self._heap, self.ends_at, self._worker_of
        while heap[0][0] == at:
            _, kind, number = heap[0]
            if kind == _QUEUED:
                return
            heappop(heap)
            if kind == _END:
                worker = worker_of[number]
                if worker != NOWHERE and ends_at[number] == at:  # else it was lost on the way
                    self._end(at, number, worker)
            elif kind == _RELEASE:
                self._free[number] += 1
                self._offer(number)
            elif kind == _OPENED:
                self._offer(number)
            elif not self._stopped[number]:
                self.running[number] = True
                self.running_workers += 1
                self._offer(number)

    def _end(self, at: float, task: int, worker: int) -> None:
        slots = self._slots[task]
        self._worker_of[task] = NOWHERE
        self.running_slots -= slots
        self.busy_slots[worker] -= slots
        self.unfinished -= 1
        if self._tail_seconds:
            for _ in range(slots):
                heappush(self._heap, (at + self._tail_seconds, _RELEASE, worker))
        else:
            self._free[worker] += slots
            self._offer(worker)
        if self._first_child:
            waits_for, earliest = self._waits_for, self._earliest
            for child in self._children[self._first_child[task] : self._first_child[task + 1]]:
                waits_for[child] -= 1
                if not waits_for[child]:
                    heappush(self._heap, (max(at, earliest[child]), _QUEUED, child))

    def _arrive(self, at: float) -> None:
        """Queues all that is due at this instant, by row."""
        heap, arrivals, order = self._heap, self._arrivals, self._order
        due = []
        while heap[0][0] == at and heap[0][1] == _QUEUED:
            due.append(heappop(heap)[2])
        number = self._next_arrival
        if due and arrivals[number] == at:
            while arrivals[number] == at:
                due.append(order[number])
                number += 1
            due.sort()
        else:
            while arrivals[number] == at:
                due.append(order[number])
                number += 1
        self._next_arrival = number
        queued_at, slots = self.queued_at, self._slots
        for task in due:
            queued_at[task] = at
            self.queued_slots += slots[task]
        self._queue.extend(due)

    def _offer(self, worker: int) -> None:
        if (
            not self._listed[worker]
            and self._free[worker] > 0
            and self.running[worker]
            and self.consuming[worker]
        ):
            self._listed[worker] = True
            heappush(self._open, worker)

    def _start(self, at: float) -> None:
        """Starts tasks from the head of the queue while they fit."""
        queue, slots, free, heap = self._queue, self._slots, self._free, self._heap
        while queue:
            task = queue[0]
            needed = slots[task]
            worker = self._lowest(needed)
            if worker == NOWHERE:
                return
            queue.popleft()
            free[worker] -= needed
            self.busy_slots[worker] += needed
            self.queued_slots -= needed
            self.running_slots += needed
            self.started_at[task] = at
            self.waited_seconds[task] += at - self.queued_at[task]
            self._worker_of[task] = worker
            end = at + self._duration[task]
            self.ends_at[task] = end
            heappush(heap, (end, _END, task))

    def _lowest(self, needed: int) -> int:
        """The lowest-numbered worker with that many free slots."""
        opened, free, running, consuming = self._open, self._free, self.running, self.consuming
        while opened:
            worker = opened[0]
            if not (free[worker] and running[worker] and consuming[worker]):
                self._listed[heappop(opened)] = False
            elif free[worker] >= needed:
                return worker
            else:
                fits = (w for w in opened if free[w] >= needed and running[w] and consuming[w])
                return min(fits, default=NOWHERE)
        return NOWHERE
