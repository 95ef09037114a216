"""No interleaving of removals, tasks, deaths, lost and late writes and restarts stops a busy worker.

The real controller is searched, not a model of it: each node is a world and what the daemon remembers.
"""

from dataclasses import replace

import numpy as np
import pytest

from policies.model import WorkerState
from tests.core.removal_search import beginning, calmed, controller_for, is_well, search
from tests.core.removal_world import PROTECTED_SECONDS, BusyWorkerStoppedError

ALL = 1_000_000
CALM_TICKS = 40
EVERY = 97
"""Every so many nodes are followed to their calm end."""


@pytest.mark.parametrize(
    ("workers", "busy", "faults", "daemons", "nodes"),
    [
        (2, 1, 1, 1, ALL),
        (3, 2, 0, 1, 6_000),
        (2, 1, 2, 1, 4_000),
        (4, 2, 1, 1, 3_000),
        (2, 1, 0, 2, 6_000),
        (2, 1, 1, 2, 4_000),
    ],
)
def test_nothing_that_may_happen_stops_a_busy_worker(workers, busy, faults, daemons, nodes):
    """All of it is searched, or the first so many; and in the end one worker is left and takes tasks."""
    assert searched(workers, busy, faults, daemons, nodes).complete is (nodes == ALL)


@pytest.mark.deep
@pytest.mark.parametrize(
    ("workers", "busy", "faults", "daemons"),
    [
        (2, 1, 2, 1),
        (3, 2, 0, 1),
        (3, 2, 1, 1),
        (4, 2, 0, 1),
        (4, 2, 1, 1),
        (2, 1, 0, 2),
        (2, 1, 1, 2),
        (3, 2, 0, 2),
    ],
)
def test_the_same_to_the_end_or_to_half_a_million_states(workers, busy, faults, daemons):
    found = searched(workers, busy, faults, daemons, ALL // 2)
    kind = "all" if found.complete else f"within {found.ticks} ticks"
    print(f"{workers} workers, {faults} faults, {daemons} daemons: {found.count} states, {kind}")  # noqa: T201 - the result


def searched(workers, busy, faults, daemons, nodes):
    controller = controller_for(workers)
    start = beginning(workers, busy, faults, controller, daemons=daemons)
    found = search(start, controller, nodes, every=EVERY)
    for node in found.sample:
        assert is_well(calmed(node, controller, CALM_TICKS)), node
    return found


def looks_protected(daemon, observation):
    """Takes its own word for a protection instead of reading it back."""
    return seen_otherwise(
        observation, daemon.state.protected, protected_until=observation.at + PROTECTED_SECONDS
    )


def looks_empty(daemon, observation):
    """Takes a worker with stopped intake for empty."""
    return seen_otherwise(observation, daemon.state.removal.chosen, busy_slots=0.0)


def looks_idle(daemon, observation):
    """Takes everybody for empty."""
    return seen_otherwise(observation, everybody(observation), busy_slots=0.0)


def looks_at_work(daemon, observation):
    """Does not notice workers whose intake an earlier daemon has stopped."""
    strangers = everybody(observation) - daemon.state.removal.chosen
    return seen_otherwise(observation, strangers, consuming=1.0)


def looks_started(daemon, observation):
    """Takes pending workers for ones that run, and stay where they are."""
    pending = frozenset(
        name
        for name, state in zip(everybody_in_order(observation), states(observation), strict=True)
        if state == WorkerState.PENDING
    )
    return seen_otherwise(
        replace(observation, capacity=replace(observation.capacity, pending=0)),
        pending,
        state=WorkerState.RUNNING,
        protected_until=observation.at + PROTECTED_SECONDS,
    )


def looks_safe(daemon, observation):
    """Lets whoever has no intake work again, protected or not."""
    workers = observation.capacity.workers
    idle = (
        []
        if workers is None
        else [name for name, takes in zip(workers.ids, workers.consuming, strict=True) if not takes]
    )
    strangers = frozenset(idle) - daemon.state.removal.chosen
    return seen_otherwise(observation, strangers, protected_until=observation.at + PROTECTED_SECONDS)


def everybody_in_order(observation):
    return observation.capacity.workers.ids if observation.capacity.workers else ()


def everybody(observation):
    return frozenset(everybody_in_order(observation))


def states(observation):
    return observation.capacity.workers.state if observation.capacity.workers else ()


def seen_otherwise(observation, names, **columns):
    """The observation with these columns of these workers changed."""
    workers = observation.capacity.workers
    if workers is None:
        return observation
    chosen = np.array([name in names for name in workers.ids], dtype=bool)
    changed = {column: np.where(chosen, value, getattr(workers, column)) for column, value in columns.items()}
    return replace(observation, capacity=replace(observation.capacity, workers=replace(workers, **changed)))


@pytest.mark.parametrize(
    ("lie", "faults", "daemons"),
    [
        (looks_protected, 1, 1),
        (looks_empty, 0, 1),
        (looks_idle, 0, 1),
        (looks_started, 1, 1),
        (looks_safe, 2, 1),
        (looks_safe, 0, 2),
        (looks_at_work, 2, 1),
        (looks_at_work, 1, 2),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_a_daemon_with_a_bug_is_caught(lie, faults, daemons):
    """Each of these is one line in some daemon; the search finds the way to the lost task."""
    controller = controller_for(2)
    with pytest.raises(BusyWorkerStoppedError):
        search(beginning(2, 1, faults, controller, daemons=daemons), controller, 60_000, lie)
