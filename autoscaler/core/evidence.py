"""Joins what Airflow says of hosts with what the fleet says of workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from policies.model import Busy, Capacity, Evidence, Unavailable


def placed(
    capacity: Capacity | Unavailable, busy: Busy | Unavailable | None
) -> tuple[Capacity | Unavailable, Evidence]:
    """The capacity with its workers' `busy_slots` filled in, and how much that is worth.

    Busy hosts that are no listed worker are named: nobody knows which worker they stand for.
    """
    if isinstance(capacity, Unavailable) or capacity.workers is None or not isinstance(busy, Busy):
        return capacity, Evidence()
    workers = capacity.workers
    slots_by_host = {host: slots for host, slots in busy.slots_by_host.items() if slots}
    if not slots_by_host:
        idle = replace(workers, busy_slots=np.zeros(len(workers)))
        return replace(capacity, workers=idle), Evidence(busy.measured_at)
    slots = np.array([_slots(names, slots_by_host) for names in workers.hosts], dtype=float)
    known = {name for names in workers.hosts for name in names}
    unplaced = tuple(sorted(host for host in slots_by_host if host not in known))
    placed_capacity = replace(capacity, workers=replace(workers, busy_slots=slots))
    return placed_capacity, Evidence(busy.measured_at, unplaced)


def _slots(names: tuple[str, ...], slots_by_host: Mapping[str, int]) -> int:
    return sum(slots_by_host.get(name, 0) for name in names)
