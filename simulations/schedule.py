"""A fleet with foresight: every launch was ordered in time, and no worker idles in vain."""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

from policies.model import FloatArray, IntArray
from simulations.parents import children_of
from simulations.service import ServiceModel
from simulations.trace import Trace

INFINITY = float("inf")
_END, _RELEASE, _QUEUED, _NEVER = range(4)


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """Who runs what, when; seconds from the trace's zero."""

    started_at: FloatArray
    """By task ..."""
    worker: IntArray
    """... with the number of its worker."""
    ready_at: FloatArray
    """By worker; ordered a launch earlier ..."""
    stopped_at: FloatArray
    """... and stopped when its last task ends."""
    launch_seconds: float

    def billed_seconds(self, minimum_seconds: float = 0.0) -> FloatArray:
        """By worker, from order to stop."""
        existed = self.stopped_at - self.ready_at + self.launch_seconds
        billed: FloatArray = np.maximum(existed, minimum_seconds)
        return billed


def schedule_of(
    trace: Trace,
    service: ServiceModel,
    max_wait_seconds: float,
    idle_seconds: float,
    *,
    ahead: bool = False,
) -> Schedule:
    """A schedule in which no task waits longer than `max_wait_seconds`.

    The queue is first in, first out, on the lowest-numbered worker with room.  A new worker is ready at
    the instant at which the queue's head has waited that long; `ahead`: also as soon as the queue holds
    more work than the workers there can do within that wait, since a burst that is put off to its
    deadline needs a slot for every task.  A worker that is idle for longer than `idle_seconds` takes no
    more tasks: with foresight it was stopped when its last task ended.

    Raises `ValueError` for a task wider than a worker.
    """
    widest = int(np.argmax(trace.slots))
    if trace.slots[widest] > service.slots_per_worker:
        raise ValueError(
            f"{trace.source}: row {widest + 1}, column slots: task {trace.keys[widest]!r} wants "
            f"{trace.slots[widest]}, a worker has {service.slots_per_worker}: give more slots per worker"
        )
    plan = _Plan(trace, service, max_wait_seconds, idle_seconds, ahead=ahead)
    plan.run()
    return Schedule(
        np.frombuffer(plan.started_at),
        np.frombuffer(plan.worker_of, dtype=np.int64),
        np.array(plan.ready_at),
        np.array(plan.stopped_at),
        service.launch.median_seconds,
    )


class _Plan:
    """The mutable inside: events in order of time, ends before releases before tasks that are queued."""

    def __init__(
        self,
        trace: Trace,
        service: ServiceModel,
        max_wait_seconds: float,
        idle_seconds: float,
        *,
        ahead: bool,
    ) -> None:
        self.max_wait_seconds, self.idle_seconds, self.ahead = max_wait_seconds, idle_seconds, ahead
        self.slots_per_worker, self.tail_seconds = service.slots_per_worker, service.slot_tail_seconds
        tasks = len(trace)
        self.duration: list[float] = trace.duration_seconds.tolist()
        self.slots: list[int] = trace.slots.tolist()
        self.queued_at: list[float] = trace.queued_at.tolist()
        """Of a child that still waits for a parent: the earliest so far."""
        waits_for = np.bincount(trace.edge_child, minlength=tasks)
        self.waits_for: list[int] = waits_for.tolist()
        first, children = children_of(tasks, trace.edge_parent, trace.edge_child)
        self.first_child: list[int] = first.tolist()
        self.children: list[int] = children.tolist()
        roots = np.flatnonzero(waits_for == 0)
        self.roots: list[int] = roots[np.argsort(trace.queued_at[roots], kind="stable")].tolist()
        self.next_root = 0
        self.heap: list[tuple[float, int, int]] = [(INFINITY, _NEVER, 0)]
        self.queue: deque[int] = deque()
        self.started_at = array("d", [0.0]) * tasks
        self.worker_of = array("q", [0]) * tasks
        self.ready_at: list[float] = []
        self.stopped_at: list[float] = []
        """The last task's end so far; infinite while one runs."""
        self.running: list[int] = []
        self.free: list[int] = []
        self.open: list[int] = []
        """A heap of workers with a free slot; closed ones are dropped when they surface."""
        self.listed: list[bool] = []
        self.gone: list[bool] = []
        self.alive = 0
        """Workers not gone, those included of whom it is not known yet."""
        self.queued_slot_seconds = 0.0

    def run(self) -> None:
        """From the first task queued to the last end."""
        heap, queue, queued_at = self.heap, self.queue, self.queued_at
        roots = [*(queued_at[task] for task in self.roots), INFINITY]
        while True:
            at = min(heap[0][0], roots[self.next_root])
            if queue:
                at = min(at, queued_at[queue[0]] + self.max_wait_seconds)
            if at == INFINITY:
                return
            while heap[0][0] == at:
                _, kind, number = heappop(heap)
                if kind == _END:
                    self._end(at, number)
                elif kind == _RELEASE:
                    self._release(number, 1)
                else:
                    self._queue(number)
            while roots[self.next_root] == at:
                self._queue(self.roots[self.next_root])
                self.next_root += 1
            self._start(at)

    def _queue(self, task: int) -> None:
        self.queue.append(task)
        self.queued_slot_seconds += self.slots[task] * self.duration[task]

    def _end(self, at: float, task: int) -> None:
        worker, slots = self.worker_of[task], self.slots[task]
        self.running[worker] -= 1
        if not self.running[worker]:
            self.stopped_at[worker] = at
        if self.tail_seconds:
            for _ in range(slots):
                heappush(self.heap, (at + self.tail_seconds, _RELEASE, worker))
        else:
            self._release(worker, slots)
        for child in self.children[self.first_child[task] : self.first_child[task + 1]]:
            self.waits_for[child] -= 1
            self.queued_at[child] = max(self.queued_at[child], at)
            if not self.waits_for[child]:
                heappush(self.heap, (self.queued_at[child], _QUEUED, child))

    def _release(self, worker: int, slots: int) -> None:
        self.free[worker] += slots
        self._list(worker)

    def _list(self, worker: int) -> None:
        if not self.listed[worker]:
            self.listed[worker] = True
            heappush(self.open, worker)

    def _start(self, at: float) -> None:
        queue = self.queue
        while queue:
            task = queue[0]
            worker = self._lowest(at, self.slots[task])
            if worker is None:
                if at < self.queued_at[task] + self.max_wait_seconds and not self._crowded():
                    return
                worker = self._launch(at)
            queue.popleft()
            self.queued_slot_seconds -= self.slots[task] * self.duration[task]
            self.free[worker] -= self.slots[task]
            self.running[worker] += 1
            self.stopped_at[worker] = INFINITY
            self.started_at[task], self.worker_of[task] = at, worker
            heappush(self.heap, (at + self.duration[task], _END, task))

    def _crowded(self) -> bool:
        within_wait = self.alive * self.slots_per_worker * self.max_wait_seconds
        return self.ahead and self.queued_slot_seconds > within_wait

    def _launch(self, at: float) -> int:
        worker = len(self.free)
        self.ready_at.append(at)
        self.stopped_at.append(at)
        self.running.append(0)
        self.free.append(self.slots_per_worker)
        self.listed.append(False)
        self.gone.append(False)
        self.alive += 1
        self._list(worker)
        return worker

    def _lowest(self, at: float, needed: int) -> int | None:
        """The lowest-numbered worker with room."""
        opened, free = self.open, self.free
        while opened:
            worker = opened[0]
            if not self._stays(worker, at) or not free[worker]:
                self.listed[heappop(opened)] = False
            elif free[worker] >= needed:
                return worker
            else:
                fits = (other for other in opened if free[other] >= needed and self._stays(other, at))
                return min(fits, default=None)
        return None

    def _stays(self, worker: int, at: float) -> bool:
        """Whether a worker is still there; who is not never comes back."""
        if not self.gone[worker] and at - self.stopped_at[worker] > self.idle_seconds:
            self.gone[worker] = True
            self.alive -= 1
        return not self.gone[worker]
