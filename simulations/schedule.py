"""A fleet with foresight: every launch was ordered in time, and no worker idles in vain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policies.model import FloatArray, IntArray
from simulations.foresight import STATE_SIZE, WORKERS, Plan, play
from simulations.parents import children_of
from simulations.service import ServiceModel
from simulations.trace import Trace


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """Who runs what, when; seconds from the trace's zero."""

    started_at: FloatArray
    """By task ..."""
    worker: IntArray
    """... with the number of its worker; -1: it needs none."""
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
    plan = _plan(trace, service, max_wait_seconds, idle_seconds, ahead=ahead)
    play(plan)
    workers = int(plan.state[WORKERS])
    return Schedule(
        plan.started_at,
        plan.worker_of,
        plan.ready_at[:workers],
        plan.stopped_at[:workers],
        service.launch.median_seconds,
    )


def _plan(
    trace: Trace, service: ServiceModel, max_wait_seconds: float, idle_seconds: float, *, ahead: bool
) -> Plan:
    tasks = len(trace)
    waits_for = np.bincount(trace.edge_child, minlength=tasks)
    first, children = children_of(tasks, trace.edge_parent, trace.edge_child)
    roots = np.flatnonzero(waits_for == 0)
    return Plan(
        max_wait_seconds=float(max_wait_seconds),
        idle_seconds=float(idle_seconds),
        tail_seconds=float(service.slot_tail_seconds),
        slots_per_worker=service.slots_per_worker,
        ahead=ahead,
        # The compiled code takes plain arrays that it may write to.
        duration=trace.duration_seconds.copy(),
        slots=trace.slots.copy(),
        queued_at=trace.queued_at.copy(),
        delay=trace.delay_seconds.copy(),
        waits_for=waits_for,
        first_child=first,
        children=children,
        roots=roots[np.argsort(trace.queued_at[roots], kind="stable")],
        started_at=np.zeros(tasks),
        worker_of=np.zeros(tasks, dtype=np.int64),
        ready_at=np.zeros(tasks),
        stopped_at=np.zeros(tasks),
        running=np.zeros(tasks, dtype=np.int64),
        free=np.zeros(tasks, dtype=np.int64),
        listed=np.zeros(tasks, dtype=np.bool_),
        gone=np.zeros(tasks, dtype=np.bool_),
        queue=np.zeros(tasks, dtype=np.int64),
        state=np.zeros(STATE_SIZE, dtype=np.int64),
        backlog=np.zeros(1),
    )
