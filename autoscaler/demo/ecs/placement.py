"""Where a task goes and which one leaves: Fargate balances availability zones and says no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

from autoscaler.demo.ecs.model import Status, Task


def zone_for_launch(tasks: Sequence[Task], zones: Sequence[str]) -> str:
    """The zone with the fewest tasks; the first of several."""
    held = Counter(task.zone for task in tasks)
    return min(zones, key=lambda zone: held[zone])


def victim(
    tasks: Sequence[Task], at: float, chance: Random, *, pending_first: bool, spares_protected: bool = True
) -> Task | None:
    """Who leaves of the wanted tasks: never a protected one; None if all are protected.

    Chosen by chance among the unprotected of the fullest zone that has any.
    """
    candidates = [task for task in tasks if task.protected_until <= at or not spares_protected]
    if pending_first:
        candidates = [task for task in candidates if task.status is not Status.RUNNING] or candidates
    if not candidates:
        return None
    held = Counter(task.zone for task in tasks)
    fullest = max(held[task.zone] for task in candidates)
    return chance.choice([task for task in candidates if held[task.zone] == fullest])


def in_fullest_zone(tasks: Sequence[Task]) -> list[Task]:
    """The tasks of the fullest zone, or of all that are equally full."""
    held = Counter(task.zone for task in tasks)
    return [task for task in tasks if held[task.zone] == max(held.values())]


def imbalance(tasks: Sequence[Task], zones: Sequence[str]) -> int:
    """How many more tasks the fullest zone has than the emptiest."""
    held = Counter(task.zone for task in tasks)
    return max(held[zone] for zone in zones) - min(held[zone] for zone in zones)
