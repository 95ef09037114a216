"""What Airflow says of hosts, joined with what the fleet says of workers."""

import numpy as np
import pytest

from autoscaler.core.evidence import placed
from policies.model import NEVER, Busy, Capacity, Evidence, Unavailable
from tests.core.clock import UNKNOWN, listing

HOSTS = (("ip-10-0-0-1.ec2.internal", "10.0.0.1"), ("10.0.0.2",), ())


def fleet() -> Capacity:
    workers = listing([UNKNOWN] * 3, consuming=np.full(3, UNKNOWN))
    columns = {name: getattr(workers, name) for name in workers.__dataclass_fields__}
    return Capacity(3, 0, 3, workers=type(workers)(**(columns | {"hosts": HOSTS})))


def test_each_host_is_placed_on_its_worker_by_any_of_its_names():
    busy = Busy({"10.0.0.1": 3, "ip-10-0-0-1.ec2.internal": 1, "10.0.0.2": 2}, 50.0)
    capacity, evidence = placed(fleet(), busy)
    assert capacity.workers.busy_slots.tolist() == [4, 2, 0]
    assert capacity.workers.busy_slots.dtype == np.float64
    assert evidence == Evidence(50.0)


@pytest.mark.parametrize(("host", "slots"), [("10.0.0.1", [3, 0, 0]), ("10.0.0.2", [0, 3, 0])])
def test_whoever_is_not_named_holds_nothing(host: str, slots: list[float]):
    """However many names it has."""
    assert placed(fleet(), Busy({host: 3}, 50.0))[0].workers.busy_slots.tolist() == slots


def test_a_host_that_is_no_worker_is_named():
    """Unless it holds nothing."""
    _, evidence = placed(fleet(), Busy({"z": 1, "a": 2, "10.0.0.1": 1, "idle": 0}, 50.0))
    assert evidence.unplaced_hosts == ("a", "z")


def test_nobody_busy_is_knowledge():
    capacity, evidence = placed(fleet(), Busy({}, 50.0))
    assert capacity.workers.busy_slots.tolist() == [0, 0, 0]
    assert evidence.busy_at == 50.0


def test_a_fleet_that_tells_who_takes_tasks_is_believed():
    """As of the busy hosts' reading, for whoever it tells it of."""
    told = Capacity(2, 0, 2, workers=listing([UNKNOWN] * 2, consuming=np.array([0.0, UNKNOWN])))
    for busy in ({}, {"a": 1}):
        assert placed(told, Busy(busy, 50.0))[1] == Evidence(50.0, (), 50.0)


@pytest.mark.parametrize("busy", [None, Unavailable("down")])
def test_without_a_witness_nothing_is_known(busy: Unavailable | None):
    capacity, evidence = placed(fleet(), busy)
    assert np.isnan(capacity.workers.busy_slots).all()
    assert evidence.busy_at == NEVER


@pytest.mark.parametrize("capacity", [Unavailable("throttled"), Capacity(3, 0, 3)])
def test_without_a_listing_there_is_nothing_to_place(capacity: Capacity | Unavailable):
    assert placed(capacity, Busy({"a": 1}, 50.0)) == (capacity, Evidence())


def test_work_left_is_placed_with_its_slots():
    """What is not known of one of its names is not known of a worker; nothing held is nothing left."""
    held = {"10.0.0.1": 3, "ip-10-0-0-1.ec2.internal": 1, "10.0.0.2": 2}
    capacity, _ = placed(fleet(), Busy(held, 50.0, {"10.0.0.1": 60.0, "10.0.0.2": 5.0}))
    assert capacity.workers.work_left_seconds.tolist() == pytest.approx([UNKNOWN, 5, 0], nan_ok=True)
    other = {"ip-10-0-0-1.ec2.internal": 60.0, "10.0.0.2": 5.0}
    capacity, _ = placed(fleet(), Busy(held, 50.0, other))
    assert capacity.workers.work_left_seconds.tolist() == pytest.approx([UNKNOWN, 5, 0], nan_ok=True)
    both = {"10.0.0.1": 60.0, "ip-10-0-0-1.ec2.internal": 90.0}
    capacity, _ = placed(fleet(), Busy(held, 50.0, both))
    assert capacity.workers.work_left_seconds.tolist() == pytest.approx([90, UNKNOWN, 0], nan_ok=True)
    assert placed(fleet(), Busy(held, 50.0))[0].workers.work_left_seconds is None
