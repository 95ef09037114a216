"""No interleaving of removals, tasks, deaths, lost and late writes and restarts stops a busy worker.

The real controller is searched, not a model of it: each node is a world and what the daemon remembers.
"""

from dataclasses import replace

import numpy as np
import pytest

from policies.model import Capacity, Refused, Unknown, WorkerState
from tests.core.removal_search import beginning, calmed, controller_for, is_well, search
from tests.core.removal_world import BusyWorkerStoppedError

ALL = 1_000_000
CALM_TICKS = 40
EVERY = 47
"""Every so many nodes are followed to their calm end."""


@pytest.mark.parametrize(
    ("workers", "busy", "faults", "daemons", "nodes"),
    [
        (2, 1, 1, 1, ALL),
        (3, 2, 0, 1, ALL),
        (2, 1, 2, 1, 8_000),
        (4, 2, 1, 1, 4_000),
        (2, 1, 0, 2, 8_000),
        pytest.param(2, 1, 2, 1, ALL, marks=pytest.mark.deep),
        pytest.param(3, 2, 1, 1, ALL, marks=pytest.mark.deep),
        pytest.param(4, 2, 0, 1, ALL, marks=pytest.mark.deep),
        pytest.param(2, 1, 0, 2, ALL, marks=pytest.mark.deep),
    ],
)
def test_nothing_that_may_happen_stops_a_busy_worker(workers, busy, faults, daemons, nodes):
    """All of it is searched, or the first so many; and in the end one worker is left and takes tasks."""
    controller = controller_for(workers)
    found = search(beginning(workers, busy, faults, controller, daemons=daemons), controller, nodes)
    assert found.complete is (nodes == ALL)
    for node in list(found.nodes.values())[::EVERY]:
        assert is_well(calmed(node, controller, CALM_TICKS)), node


def looks_protected(daemon, observation):
    """Takes its own word for a protection instead of reading it back."""
    return of_workers(
        observation,
        lambda workers, name, row: workers.protected_until.__setitem__(row, observation.at + 3000),
        daemon.state.protected,
    )


def looks_empty(daemon, observation):
    """Takes a worker with stopped intake for empty."""
    return of_workers(
        observation,
        lambda workers, name, row: workers.busy_slots.__setitem__(row, 0.0),
        daemon.state.removal.stopped,
    )


def looks_busy_never(daemon, observation):
    """Has no idea who is busy and thinks that nobody is."""
    everybody = observation.capacity.workers.ids if observation.capacity.workers else ()
    return of_workers(
        observation, lambda workers, name, row: workers.busy_slots.__setitem__(row, 0.0), everybody
    )


def looks_at_work(daemon, observation):
    """Does not notice workers whose intake somebody else has stopped."""
    everybody = observation.capacity.workers.ids if observation.capacity.workers else ()
    strangers = frozenset(everybody) - daemon.state.removal.stopped
    return of_workers(
        observation, lambda workers, name, row: workers.consuming.__setitem__(row, 1.0), strangers
    )


def looks_started(daemon, observation):
    """Takes pending workers for protected ones that run."""
    everybody = observation.capacity.workers.ids if observation.capacity.workers else ()

    def start(workers, name, row):
        if workers.state[row] == WorkerState.PENDING:
            workers.state[row] = WorkerState.RUNNING
            workers.protected_until[row] = observation.at + 3000

    seen = of_workers(observation, start, everybody)
    if isinstance(seen.capacity, Capacity):
        capacity = replace(seen.capacity, pending=0, running=seen.capacity.running + seen.capacity.pending)
        seen = replace(seen, capacity=capacity)
    return seen


def looks_refused(daemon, observation):
    """Takes a write without an answer for one that was not done."""
    write = observation.last_write
    return replace(observation, last_write=Refused(write.desired, "") if isinstance(write, Unknown) else write)


def of_workers(observation, change, names):
    """The observation with these workers looking otherwise."""
    capacity = observation.capacity
    if capacity.workers is None:
        return observation
    workers = replace(
        capacity.workers,
        **{
            name: np.array(getattr(capacity.workers, name))
            for name in ("state", "busy_slots", "consuming", "protected_until")
        },
    )
    for row, name in enumerate(workers.ids):
        if name in names:
            change(workers, name, row)
    return replace(observation, capacity=replace(capacity, workers=workers))


@pytest.mark.parametrize(
    ("lie", "faults"),
    [
        (looks_protected, 0),
        (looks_empty, 0),
        (looks_busy_never, 0),
        (looks_started, 1),
        (looks_refused, 1),
        (looks_at_work, 2),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_a_daemon_with_a_bug_is_caught(lie, faults):
    """Each of these is one line in some daemon; the search finds the way to the lost task."""
    controller = controller_for(3 if lie is looks_protected else 2)
    start = beginning(controller.guards.bounds.maximum, 1, faults, controller)
    with pytest.raises(BusyWorkerStoppedError):
        search(start, controller, 60_000, lie)
