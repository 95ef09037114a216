"""Who is busy, from two sides: a worker is idle only if both say so, and as fresh as the older word."""

import itertools

import numpy as np
import pytest

from autoscaler.core.agreement import Intakes, WorkerIntake, agreed
from policies.model import NEVER, Capacity, Evidence, Unavailable
from tests.core.clock import UNKNOWN, listing

DEFAULT = frozenset({"default"})
WORDS = {"idle": 0.0, "busy": 1.0, "unknown": UNKNOWN}


def fleet(*slots: float) -> Capacity:
    return Capacity(len(slots), 0, len(slots), workers=listing(list(slots)))


def said(capacity: Capacity, *held: float) -> Intakes:
    answers = zip(capacity.workers.ids, held, strict=True)
    words = {worker: WorkerIntake(int(tasks), 0, DEFAULT) for worker, tasks in answers if not np.isnan(tasks)}
    return Intakes(words, 40.0)


@pytest.mark.parametrize(("database", "worker"), list(itertools.product(WORDS, WORDS)))
def test_idle_is_only_what_both_sides_call_idle(database, worker):
    """One side that sees a task makes a worker busy; else one that is silent makes it unknown."""
    capacity = fleet(WORDS[database])
    joined, _ = agreed(capacity, Evidence(50.0), said(capacity, WORDS[worker]))
    (slots,) = joined.workers.busy_slots
    words = {database, worker}
    if "busy" in words:
        assert slots == 1
    elif "unknown" in words:
        assert np.isnan(slots)
    else:
        assert slots == 0


def test_reserved_tasks_are_held_too():
    """What a worker took from the broker and does not run yet would be lost with it."""
    capacity = fleet(0.0)
    intakes = Intakes({capacity.workers.ids[0]: WorkerIntake(0, 3, DEFAULT)}, 40.0)
    joined, _ = agreed(capacity, Evidence(50.0), intakes)
    assert joined.workers.busy_slots.tolist() == [3]


def test_a_worker_consumes_as_long_as_it_consumes_any_queue():
    """None: stopped.  No answer: unknown."""
    capacity = fleet(0.0, 0.0, 0.0)
    first, second, _ = capacity.workers.ids
    words = {first: WorkerIntake(0, 0, DEFAULT), second: WorkerIntake(0, 0, frozenset())}
    joined, _ = agreed(capacity, Evidence(50.0), Intakes(words, 40.0))
    assert joined.workers.consuming[:2].tolist() == [1, 0]
    assert np.isnan(joined.workers.consuming[2])
    assert joined.draining == 1
    both = {first: WorkerIntake(0, 0, frozenset()), second: WorkerIntake(0, 0, frozenset())}
    assert agreed(capacity, Evidence(50.0), Intakes(both, 40.0))[0].draining == 2
    assert joined.draining == 1


@pytest.mark.parametrize(("database_at", "workers_at"), [(50.0, 40.0), (40.0, 50.0)])
def test_the_evidence_is_as_old_as_the_older_side(database_at, workers_at):
    capacity = fleet(0.0)
    _, evidence = agreed(capacity, Evidence(database_at, ("a",)), Intakes({}, workers_at))
    assert evidence == Evidence(40.0, ("a",), workers_at)


def test_workers_that_cannot_be_asked_are_not_idle():
    """Their word is missing, whatever the database says; and the evidence is worth nothing."""
    joined, evidence = agreed(fleet(0.0, 2.0), Evidence(50.0), Unavailable("the broker is down"))
    assert np.isnan(joined.workers.busy_slots[0])
    assert joined.workers.busy_slots[1] == 2
    assert np.isnan(joined.workers.consuming).all()
    assert evidence.busy_at == NEVER


@pytest.mark.parametrize("capacity", [Unavailable("throttled"), Capacity(3, 0, 3)])
def test_without_a_listing_there_is_nothing_to_agree_on(capacity):
    assert agreed(capacity, Evidence(50.0), Intakes({}, 40.0)) == (capacity, Evidence(50.0))
