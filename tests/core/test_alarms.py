"""What a person is told to look at, word for word, and what is no alarm yet."""

from typing import Any

import pytest

from autoscaler.core.alarms import Watch
from autoscaler.core.state import Removal, Spared
from policies.model import AlarmKind, Evidence, Rollout
from tests.core.clock import NOON, told

WATCH = Watch(10, 20, parallelism=32)


def alarms(state: dict[str, Any] | None = None, **look: Any) -> dict[str, str]:
    """After one look, with more about the state by name."""
    clock = told(watch=WATCH)
    clock.state = clock.state._replace(**(state or {}))
    return clock.sees(50, **look).alarms()


@pytest.mark.parametrize(
    ("look", "kind", "note"),
    [
        ({"capacity": {"contested_by": "CDK"}}, AlarmKind.CONTESTED, "CDK sets this size too"),
        (
            {"capacity": {"rollout": Rollout.FAILED}},
            AlarmKind.DEPLOYMENT_FAILED,
            "the service's deployment failed",
        ),
        (
            {"evidence": Evidence(NOON, ("ip-10-0-0-9", "z"))},
            AlarmKind.BUSY_UNPLACED,
            "busy, but no worker of ours: ip-10-0-0-9",
        ),
        (
            {"demand": {"phantoms": 3}},
            AlarmKind.PHANTOM_TASKS,
            "3 tasks have no living process and are left out of the load",
        ),
        (
            {"demand": {"schedulers": 2}},
            AlarmKind.PARALLELISM_TOO_LOW,
            "Airflow may run 64 tasks at once, the workers 200: raise core.parallelism",
        ),
        (
            {"state": {"removal": Removal(spared=(Spared("a", NOON + 9), Spared("b", NOON + 9)))}},
            AlarmKind.DRAIN_OVERDUE,
            "2 workers did not run dry in time and take tasks again",
        ),
        (
            {"state": {"removal": Removal(frozen_until=NOON + 1)}},
            AlarmKind.WRONG_WORKER_STOPPED,
            "another worker was stopped than those that were prepared: no removal for an hour",
        ),
    ],
)
def test_what_is_seen_at_once(look: dict[str, Any], kind: AlarmKind, note: str):
    assert alarms(**look) == {str(kind): note}


def test_workers_that_do_not_listen():
    """Beside free slots for five minutes; workers that are draining offer none."""
    clock = told().sees(queued=1, running=30)
    clock.after(299).sees(queued=1, running=30)
    assert clock.alarms() == {}
    clock.after(1).sees(queued=1, running=30)
    assert clock.alarms() == {"deaf_workers": "tasks have been queued beside free slots for 5 min"}
    clock.after(3300).sees(queued=1, running=30)
    assert clock.alarms() == {"deaf_workers": "tasks have been queued beside free slots for 60 min"}
    clock = told()
    for _ in range(2):
        clock.after(300).sees(queued=1, running=30, capacity={"draining": 2})
    assert clock.alarms() == {}


def test_workers_that_do_not_start():
    """Ten minutes are allowed."""
    clock = told().sees(50, pending=2)
    clock.after(599).sees(50, pending=2)
    assert clock.alarms() == {}
    clock.after(1).sees(50, pending=2)
    assert clock.alarms() == {"pending_too_long": "2 workers have not started in time"}


def test_others_that_set_the_size():
    """The third time within an hour is one too many."""
    clock = told().sees(50)
    for desired in (6, 7):
        clock.after(60).sees(50, desired=desired)
    assert clock.alarms() == {}
    clock.after(60).sees(50, desired=8)
    note = "others set the desired count three times within an hour: observing only"
    assert clock.alarms() == {"foreign_writes": note}


@pytest.mark.parametrize(("schedulers", "parallelism"), [(2, None), (2, 100), (0, 32)])
def test_enough_parallelism_or_an_unknown_one_is_no_alarm(schedulers: int, parallelism: int | None):
    clock = told(watch=Watch(10, 20, parallelism=parallelism))
    assert clock.sees(50, demand={"schedulers": schedulers}).alarms() == {}


def test_what_is_over_is_no_alarm():
    assert alarms({"removal": Removal(frozen_until=NOON)}) == {}
