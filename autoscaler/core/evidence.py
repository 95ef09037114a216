"""Joins what Airflow says of hosts with what the fleet says of workers."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from math import isnan

import numpy as np

from policies.model import NEVER, Busy, Capacity, Evidence, FloatArray, Unavailable, Workers

NAN = float("nan")


def placed(
    capacity: Capacity | Unavailable, busy: Busy | Unavailable | None
) -> tuple[Capacity | Unavailable, Evidence]:
    """The capacity with its workers' `busy_slots` and work left filled in, and how much that is worth.

    Busy hosts that are no listed worker are named: nobody knows which worker they stand for.  A fleet that
    tells who takes tasks has seen it when it was listed, no earlier than the busy hosts were read.
    """
    if isinstance(capacity, Unavailable) or capacity.workers is None or not isinstance(busy, Busy):
        return capacity, Evidence()
    workers = capacity.workers
    intake_at = NEVER if np.isnan(workers.consuming).all() else busy.measured_at
    slots_by_host = {host: slots for host, slots in busy.slots_by_host.items() if slots}
    if not slots_by_host:
        idle = replace(workers, busy_slots=np.zeros(len(workers)))
        return replace(capacity, workers=idle), Evidence(busy.measured_at, (), intake_at)
    held, hosts = slots_by_host.get, workers.hosts
    # Most workers have one name, and there may be hundreds: no function is called for each of them.
    slots = np.array(
        [held(names[0], 0) if len(names) == 1 else sum(held(name, 0) for name in names) for names in hosts],
        dtype=float,
    )
    unplaced = tuple(sorted(slots_by_host.keys() - set(chain.from_iterable(hosts))))
    work_left = _work_left(workers, busy) if busy.work_left_by_host else None
    seen = replace(workers, busy_slots=slots, work_left_seconds=work_left)
    return replace(capacity, workers=seen), Evidence(busy.measured_at, unplaced, intake_at)


def _work_left(workers: Workers, busy: Busy) -> FloatArray:
    held, known = busy.slots_by_host, busy.work_left_by_host
    seconds = [
        max((known.get(name, NAN) for name in names if held.get(name)), key=_unknown_is_most, default=0.0)
        for names in workers.hosts
    ]
    return np.array(seconds, dtype=float)


def _unknown_is_most(seconds: float) -> tuple[bool, float]:
    return isnan(seconds), seconds
