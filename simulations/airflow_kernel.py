"""Airflow between two looks: scheduler, pools, queues and worker slots, in exact times.

The rules, to the last start time.  Instants are multiples of 2^-16 s.
1. A task is *ready* at `queued_at`; with parents at the later of that and the last parent's end plus its
   delay.  If its DAG has a limit of active runs, its run must be active: a run arrives when its first task is
   ready; runs of a DAG start in this order, and the next one when one has ended.
2. It is *scheduled* by the first scheduler loop that comes `schedule_delay` after that or later.  Loops come
   at a phase plus whole periods; without a period, whenever something happens.
3. A loop walks all scheduled tasks by priority, run's start and row, and *queues* those that fit
   `parallelism`, the active tasks of their DAG or run, and their pool.  What does not fit is passed over, so
   a wide task may starve in a pool, as it does in Airflow.  These limits are held until the task's end.
   A task of no slots needs no worker: it runs from the loop that schedules it.
4. Each worker queue is first in, first out, and strict: while its head fits nowhere, nobody behind it starts.
   Which queue of a line comes next is `queue_order`.
5. Which worker takes it is `worker_choice`.  `start_delay` later (and on a fresh worker the penalty) it
   *runs*.  Until then it counts as queued, though it holds its slots.
6. Slots are free a tail after the task's end; limits and children are free at the end.
7. Stopping a worker loses what it runs or starts.  Until Airflow notices (`heartbeat_timeout_seconds`) a lost
   task counts as running and holds its limits; `retry_delay_seconds` later it is ready again, `retries`
   times.  After that it fails, and its descendants are skipped.
8. A task that no worker has taken for `queued_timeout_seconds` is scheduled again, `requeues` times; then it
   fails.
9. At one instant: queued timeouts, ends, releases, notices, workers that become ready; tasks that become
   ready, by row; the loop; starts, line by line.  What that makes due at the same instant happens in a
   further round, but for the loop: one an instant, if loops have a period.
10. Chance (delays, tail, lots) belongs to the task's row, and is the same in each of its tries.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor

import numpy as np

from policies.model import FloatArray, IntArray
from simulations import airflow_changes as changes
from simulations import airflow_events as events
from simulations import airflow_state as places
from simulations.airflow import Airflow
from simulations.airflow_check import check
from simulations.airflow_setup import LineSpec, arrays_of, luck_of, with_workers
from simulations.airflow_state import NEVER, NumberArray
from simulations.trace import QUANTA_PER_SECOND, Trace

__all__ = ["AirflowKernel", "AirflowLine", "LineSpec"]


class AirflowKernel:
    """The mutable inside of a world with an Airflow in it.  Times are Unix seconds.

    The same trace, Airflow, lines, seed and calls give the same results, to the last bit.  Raises
    `TraceError` for a task that could never run here.
    """

    def __init__(self, trace: Trace, airflow: Airflow, lines: Sequence[LineSpec], seed: int) -> None:
        check(trace, airflow, lines)
        self._starts_at = self.now = trace.starts_at
        self._duration_seconds = trace.duration_seconds
        self._arrays = arrays_of(trace, airflow, lines, luck_of(airflow, len(trace), seed))
        self._due_at = 0
        """No later than the next event; in quanta."""
        self.lines = tuple(AirflowLine(self, number, line) for number, line in enumerate(lines))
        self._read()

    def _read(self) -> None:
        """Looks once at what is asked for most."""
        self._counters = self._arrays.state[: places.LOST_SLOT_QUANTA + 1].tolist()
        self._rows = self._arrays.lines.tolist()

    @property
    def unfinished(self) -> int:
        """Tasks that have neither ended nor failed nor been skipped."""
        return int(self._counters[places.UNFINISHED])

    @property
    def killed_tasks(self) -> int:
        """Tries lost with their worker."""
        return int(self._counters[places.KILLED_TASKS])

    @property
    def failed_tasks(self) -> int:
        """Tasks without a further try."""
        return int(self._counters[places.FAILED_TASKS])

    @property
    def skipped_tasks(self) -> int:
        """Descendants of failed tasks: they never run."""
        return int(self._counters[places.SKIPPED_TASKS])

    @property
    def lost_slot_seconds(self) -> float:
        """Slot time of lost tasks."""
        return int(self._counters[places.LOST_SLOT_QUANTA]) / QUANTA_PER_SECOND

    @property
    def scheduled_at(self) -> FloatArray:
        """When a loop scheduled each task, the last try; NaN: never."""
        return self._outcome(places.SCHEDULED_AT)

    @property
    def queued_at(self) -> FloatArray:
        """When each task was queued, the last time; NaN: never."""
        return self._outcome(places.QUEUED_AT)

    @property
    def started_at(self) -> FloatArray:
        """When each task started, the last try; NaN: never, or it failed."""
        return self._outcome(places.STARTED_AT)

    @property
    def ends_at(self) -> FloatArray:
        """When each started task ends, or would have ended if it was lost."""
        ends: FloatArray = self.started_at + self._duration_seconds
        return ends

    @property
    def waited_seconds(self) -> FloatArray:
        """From scheduled to started, over all tries that started: limits and workers together."""
        return self._outcome(places.WAITED)

    @property
    def worker(self) -> NumberArray:
        """The worker, by its number in its line, that took each task last; -1: none."""
        return self._arrays.worker

    @property
    def line(self) -> IntArray:
        """The line of each task."""
        of_queue: IntArray = self._arrays.queues[places.LINE]
        found: IntArray = np.broadcast_to(of_queue[self._arrays.queue], len(self._duration_seconds))
        return found

    def _outcome(self, row: int) -> FloatArray:
        column: FloatArray = self._arrays.outcome[row]
        return column

    def advance(self, until: float) -> None:
        """Lets everything happen that is due up to and including `until`."""
        instant = floor((until - self._starts_at) * QUANTA_PER_SECOND)
        if instant >= self._due_at:
            self._due_at = events.advance(instant, self._starts_at, *self._arrays)
            self._read()
        self.now = until

    def _instant(self, at: float) -> int:
        return ceil((at - self._starts_at) * QUANTA_PER_SECOND)


class AirflowLine:
    """One line of an `AirflowKernel`; see `Line`."""

    def __init__(self, kernel: AirflowKernel, number: int, spec: LineSpec) -> None:
        self._kernel, self._number, self._slots_per_worker = kernel, number, spec.slots_per_worker
        self._workers = 0

    @property
    def now(self) -> float:
        return self._kernel.now

    def _row(self, row: int) -> int:
        return int(self._kernel._rows[row][self._number])  # noqa: SLF001 - one thing in two classes

    @property
    def queued_slots(self) -> int:
        return self._row(places.QUEUED)

    @property
    def running_slots(self) -> int:
        return self._row(places.RUNNING_SLOTS)

    @property
    def scheduled_slots(self) -> int:
        return self._row(places.SCHEDULED)

    @property
    def running_workers(self) -> int:
        return self._row(places.RUNNING_WORKERS)

    @property
    def oldest_wait_seconds(self) -> float:
        first = self._row(places.FIRST_QUEUE)
        arrays = self._arrays
        heads = arrays.queues[places.HEAD, first : first + self._row(places.QUEUES)]
        waiting = arrays.outcome[places.QUEUED_AT, heads[heads >= 0]]
        return self.now - float(waiting.min()) if len(waiting) else 0.0

    @property
    def busy_slots(self) -> IntArray:
        return self._column(places.BUSY)

    @property
    def running(self) -> IntArray:
        return self._column(places.RUNNING)

    @property
    def consuming(self) -> IntArray:
        return self._column(places.CONSUMING)

    def _column(self, row: int) -> IntArray:
        column: IntArray = self._arrays.workers[row, self._number]
        return column

    @property
    def _arrays(self) -> places.Arrays:
        return self._kernel._arrays  # noqa: SLF001

    def running_tasks(self) -> tuple[IntArray, IntArray]:
        arrays = self._arrays
        what = arrays.agenda[: arrays.state[places.PLANNED], 1]
        tasks = what[(what & -places.KIND) == places.ENDS] & (places.KIND - 1)
        queue = arrays.queue[tasks if len(arrays.queue) > 1 else np.zeros_like(tasks)]
        mine = tasks[(arrays.queues[places.LINE, queue] == self._number) & (arrays.slots[tasks] > 0)]
        return mine, arrays.worker[mine].astype(np.int64)

    def launch(self, ready_at: float) -> int:
        kernel, worker = self._kernel, self._workers
        self._workers += 1
        if worker >= self._arrays.workers.shape[2]:
            kernel._arrays = with_workers(self._arrays, 2 * self._workers)  # noqa: SLF001
        workers = self._arrays.workers
        workers[places.FREE, self._number, worker] = self._slots_per_worker
        workers[places.CONSUMING, self._number, worker] = 1
        workers[places.FRESH, self._number, worker] = 1
        at = kernel._instant(ready_at)  # noqa: SLF001
        what = places.WORKER_READY + (self._number << places.WORKER_BITS) + worker
        changes.schedule(at, what, *self._arrays)
        kernel._due_at = min(kernel._due_at, at)  # noqa: SLF001
        return worker

    def take_tasks(self, worker: int, *, consuming: bool) -> None:
        changes.take_tasks(self._number, worker, int(consuming), *self._arrays)
        if consuming:
            self._look_now()

    def stop(self, worker: int) -> None:
        arrays, kernel = self._arrays, self._kernel
        workers, line = arrays.workers, self._number
        if workers[places.STOPPED, line, worker]:
            return
        arrays.lines[places.RUNNING_WORKERS, line] -= workers[places.RUNNING, line, worker]
        workers[places.RUNNING, line, worker], workers[places.STOPPED, line, worker] = 0, 1
        at = kernel._instant(self.now)  # noqa: SLF001
        changes.stop(line, worker, at, kernel._starts_at, *arrays)  # noqa: SLF001
        self._look_now()
        kernel._read()  # noqa: SLF001

    def busy_until(self, worker: int) -> float:
        arrays, now = self._arrays, self.now
        planned = arrays.agenda[: arrays.state[places.PLANNED]]
        kind, task = planned[:, 1] & -places.KIND, planned[:, 1] & (places.KIND - 1)
        holds = np.flatnonzero((kind == places.ENDS) | (kind == places.RELEASED))
        at, kind, task = planned[holds, 0], kind[holds], task[holds]
        mine = (arrays.worker[task] == worker) & (self._kernel.line[task] == self._number)
        mine &= arrays.slots[task] > 0
        if not mine.any():
            return now
        tail = arrays.luck[places.TAIL, task if arrays.luck.shape[1] > 1 else np.zeros_like(task)]
        free_at = at + np.where(kind == places.ENDS, tail, 0)
        return self._kernel._starts_at + int(free_at[mine].max()) / QUANTA_PER_SECOND  # noqa: SLF001

    def _look_now(self) -> None:
        """Something changed: what follows from it happens now, not at the next event."""
        kernel = self._kernel
        at = kernel._instant(self.now)  # noqa: SLF001
        self._arrays.state[places.OPENED_AT] = min(at, NEVER)
        kernel._due_at = min(kernel._due_at, at)  # noqa: SLF001
