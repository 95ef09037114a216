"""Joins what Airflow says of hosts with what the fleet says of workers."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import numpy as np

from policies.model import NEVER, Busy, Capacity, Evidence, Unavailable


def placed(
    capacity: Capacity | Unavailable, busy: Busy | Unavailable | None
) -> tuple[Capacity | Unavailable, Evidence]:
    """The capacity with its workers' `busy_slots` filled in, and how much that is worth.

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
    placed_capacity = replace(capacity, workers=replace(workers, busy_slots=slots))
    return placed_capacity, Evidence(busy.measured_at, unplaced, intake_at)
