"""What a removal says of itself, word for word; and which looks it asks for."""

from collections.abc import Callable

import numpy as np
import pytest

from autoscaler.core.removal import SafeRemoval
from autoscaler.core.state import Phase, Removal
from autoscaler.core.victims import Patience
from policies.model import Evidence, Reason, Refused, Unknown, WorkerState
from tests.core.clock import NOON, Clock, told
from tests.core.test_removal import CONSOLIDATING, ROLLING, lowered, ready, rolling, seen, three

IDLE3 = seen([5, 0, 0])
STOPPED = seen([5, 0, 0], stopped="b")
PREPARED = seen([5, 0, 0], stopped="b", protected="ac")
ALL_PROTECTED = seen([5, 0, 0], stopped="b", protected="abc")


def with_a_newcomer() -> Clock:
    """The third worker has just been ordered."""
    state = np.array([WorkerState.RUNNING, WorkerState.RUNNING, WorkerState.PENDING])
    columns = {"state": state, "created_at": np.full(3, NOON + 25)}
    return ready(three()).sees(5, workers=seen([5, 0, 0], stopped="b", protected="a", **columns))


def protected_by_us() -> Clock:
    """The one that is ready was protected while it worked."""
    clock = ready(three())
    clock.state = clock.state._replace(protected=frozenset("b"))
    return clock.sees(5, workers=ALL_PROTECTED)


def another_one_was_stopped() -> Clock:
    clock, wrong = lowered(three()), seen([5, 0, 0], stopped="b", protected="a", without="c")
    return clock.sees(5, workers=wrong).after(70).sees(5, workers=wrong)


def fewer_desired_than_protected() -> Clock:
    """Somebody else wrote two; ECS then renews no protection, and these end soon."""
    clock = three().sees(5)
    clock.state = clock.state._replace(protected=frozenset("abc"))
    soon = seen([5, 0, 0], protected="abc", protected_until=NOON + 100)
    return clock.after(10).sees(5, desired=2, workers=soon).after(10).sees(5, workers=soon)


STORIES: dict[str, tuple[Callable[[], Clock], str]] = {
    "not listed": (lambda: three().sees(5), "drain 3 workers_unlisted: who is busy is read next"),
    "chosen": (
        lambda: three().sees(5, workers=IDLE3),
        "drain 3 draining: 1 of 2 chosen, 0 seen empty once",
    ),
    "empty once": (
        lambda: three().sees(5, workers=IDLE3).after(10).sees(5, workers=STOPPED),
        "drain 3 draining: 1 of 2 chosen, 1 seen empty once",
    ),
    "to protect": (
        lambda: ready(three()).sees(5, workers=seen([5, 0, 0], stopped="b", protected="a")),
        "drain 3 protecting: 1 workers that stay to protect first",
    ),
    "its own protection": (
        protected_by_us,
        "drain 3 draining: the protection of 1 workers ends first",
    ),
    "written": (
        lambda: ready(three()).sees(5, workers=PREPARED),
        "drain 2 draining: 1 workers may leave now",
    ),
    "leaving": (lambda: lowered(three()).sees(5, workers=PREPARED), "drain 2 leaving: 1 workers are leaving"),
    "a newcomer": (with_a_newcomer, "drain 3 workers_pending: 1 workers are on their way"),
    "more than desired": (
        lambda: ready(three()).sees(5, workers=seen([5, 0, 0, 0], stopped="b", protected="acd")),
        "drain 3 workers_held: 4 workers are listed, fewer desired",
    ),
    "fewer than desired": (
        lambda: ready(three()).sees(5, workers=seen([5, 0, 0], stopped="b", protected="a", without="c")),
        "drain 3 workers_held: 2 workers are listed, 3 are desired",
    ),
    "without intake": (
        lambda: three().sees(5, workers=seen([5, 0, 0], stopped="bc", protected="a")),
        "drain 3 resuming: 2 workers without intake go back to work first",
    ),
    "protections in doubt": (
        lambda: ready(three()).wrote(Unknown(None, "no answer")).sees(5, workers=PREPARED),
        "drain 3 write_unconfirmed: protections were set or ended without an answer",
    ),
    "busy elsewhere": (
        lambda: three().sees(5, workers=IDLE3, evidence=Evidence(NOON, ("ip-10-0-0-9", "z"), NOON)),
        "drain 3 busy_unplaced: busy, but no worker of ours: ip-10-0-0-9",
    ),
    "nobody knows who is busy": (
        lambda: three().sees(5, workers=IDLE3, evidence=Evidence()),
        "drain 3 busy_unknown: who is busy is not known",
    ),
    "nobody knows who takes tasks": (
        lambda: three().sees(5, workers=IDLE3, evidence=Evidence(NOON)),
        "drain 3 intake_unknown: who takes tasks is not known",
    ),
    "another one was stopped": (
        another_one_was_stopped,
        "drain 2 frozen: another worker was stopped than those that were prepared",
    ),
    "fewer desired than protected": (
        fewer_desired_than_protected,
        "drain 3 workers_held: the protections of 3 workers end soon, and more are listed than desired",
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_every_step_of_a_removal_says_what_it_waits_for(name: str):
    story, line = STORIES[name]
    decision = story().decision
    assert decision is not None
    stage = decision.trail[-1]
    assert f"{stage.stage} {stage.workers:g} {stage.reason}: {stage.note}" == line


@pytest.mark.parametrize(
    "look",
    [{"load": 25}, {"load": 30}, {"load": 45, "workers": seen([15, 15, 15])}, {"load": 30, "workers": IDLE3}],
    ids=["unlisted", "unlisted, the same size", "more", "the same size"],
)
def test_where_nothing_is_to_leave_it_says_nothing(look):
    assert three().sees(**look).because() == [Reason.DEMAND]


def test_workers_are_asked_for_as_long_as_a_removal_is_unfinished():
    """At the start, while one is leaving or comes back, during a deployment; and not in between."""
    clock = three().sees(25)
    assert clock.decision.wants_workers, "what an earlier daemon left is to be seen"
    clock.after(10).sees(25, workers=IDLE3)
    assert not clock.decision.wants_workers
    clock.after(10).sees(25)
    assert not clock.decision.wants_workers
    clock.after(10).sees(25, capacity=ROLLING)
    assert clock.decision.wants_workers
    clock.after(10).sees(25, capacity=ROLLING, workers=rolling([5, 0, 0], ""))
    assert clock.decision.wants_workers
    assert lowered(three()).sees(25).decision.wants_workers
    clock = ready(three()).sees(25)
    assert clock.decision.wants_workers, "who comes back must be seen protected"
    assert clock.after(10).sees(25).decision.wants_workers


@pytest.mark.parametrize(("load", "victims"), [(20, 1), (20.1, 0)])
def test_demand_that_returns_while_nobody_looks_undoes_it(load: float, victims: int):
    """Of three workers two are wished for, and then a little more than two."""
    clock = ready(three()).sees(load, fleet_unknown="no answer")
    assert len(clock.state.removal.victims) == victims


CONTESTED = {"contested_by": "Application Auto Scaling"}


def test_demand_that_returns_or_another_writer_undoes_it_without_a_listing():
    """Nobody is a victim any more; who was waits for its protection."""
    for look in ({"load": 25}, {"load": 5, "capacity": CONTESTED}):
        clock = ready(three()).sees(**look)
        assert clock.state.removal.victims == ()
        assert [each.worker for each in clock.state.removal.returning] == ["b"]


def test_where_another_one_sets_the_size_nobody_is_protected_for_being_one_too_many():
    three().sees(5, workers=seen([5, 0, 0, 0]), capacity=CONTESTED).expects(None, Reason.CONTESTED)


def test_only_who_is_ready_begins_to_leave():
    """Of two victims the other one still holds work."""
    clock = told(desired=8, way_in=CONSOLIDATING)
    clock.sees(55).after(10).sees(55, workers=seen([9, 9, 9, 9, 9, 9, 1, 0])).expects(
        None, Reason.DRAINING, stopped="gh"
    )
    for protected in ("", "abcdefg"):
        clock.after(10).sees(55, workers=seen([9] * 6 + [1, 0], stopped="gh", protected=protected))
    assert clock.decision.desired == 7
    phases = {each.worker: each.phase for each in clock.state.removal.victims}
    assert phases == {"g": Phase.EMPTYING, "h": Phase.LEAVING}
    clock.after(10).sees(55, workers=seen([9] * 6 + [1, 0], stopped="gh", protected="abcdefg"))
    clock.expects(None, Reason.LEAVING, stopped="gh")
    assert {each.worker for each in clock.state.removal.victims} == {"g", "h"}, "one more is wanted"


def test_who_is_leaving_when_a_deployment_begins_goes_on_leaving():
    clock = lowered(three())
    workers = rolling([5, 0, 0], "a", stopped="b", protected="ac")
    clock.sees(5, capacity=ROLLING, workers=workers).expects(None, stopped="b")
    assert [each.phase for each in clock.state.removal.victims if each.worker == "b"] == [Phase.LEAVING]


@pytest.mark.parametrize(("seconds", "protected"), [(3599.5, "a"), (3600.0, "")])
def test_an_old_deployments_worker_is_protected_until_its_deadline(seconds: float, protected: str):
    """Where it may be killed, even if its intake cannot be stopped."""
    clock = told(desired=1, way_in=SafeRemoval(Patience(kills=True)))
    clock.sees(9, capacity=ROLLING, workers=rolling([9, 0], "a")).expects(None, stopped="a", protected="a")
    clock.after(seconds).sees(9, capacity=ROLLING, workers=rolling([9, 0], "a"))
    clock.expects(None, stopped="a", protected=protected)


def test_an_observer_uses_the_removals_own_patience():
    """Not started within 30 s is late, and evidence of six seconds ago is none."""
    patient = SafeRemoval(pending_deadline_seconds=30.0, evidence_max_age_seconds=5.0)
    clock = told(desired=3, way_in=patient, observing=True)
    clock.sees(5, pending=1).after(29).sees(5, pending=1).expects(None, Reason.WORKERS_PENDING)
    clock.after(1).sees(5, pending=1).expects(None, Reason.WORKERS_UNLISTED)
    clock.after(10).sees(5, workers=IDLE3, evidence=Evidence(clock.at - 6)).expects(None, Reason.BUSY_UNKNOWN)
    clock.after(10).sees(5, workers=IDLE3, evidence=Evidence(clock.at - 5)).expects(1, Reason.DEMAND)


@pytest.mark.parametrize(("busy", "kills", "released"), [(0, False, "b"), (1, False, ""), (1, True, "b")])
def test_the_protection_of_one_that_is_leaving_ends(busy: float, kills: bool, released: str):  # noqa: FBT001
    """Once it is empty, or may be killed; it was renewed while the size was written."""
    clock = lowered(three(SafeRemoval(Patience(kills=kills))))
    clock.state = clock.state._replace(protected=frozenset("abc"))
    clock.sees(5, workers=seen([5, busy, 0], stopped="b", protected="abc"))
    clock.expects(None, Reason.LEAVING, stopped="b", released=released)


def test_one_that_never_started_is_enough():
    """Of three wished-for two it is the third: no other one is chosen, though it is empty."""
    state = np.array([WorkerState.RUNNING, WorkerState.RUNNING, WorkerState.PENDING])
    workers = seen([9, 0, 0], state=state, created_at=np.full(3, NOON - 900))
    three().sees(15, workers=workers).expects(None, Reason.PROTECTING, protected="ab")


def test_nothing_leaves_until_the_hour_is_over():
    """At its end it does."""
    for seconds, reason in ((0.5, Reason.FROZEN), (0.0, Reason.DRAINING)):
        clock = three()
        clock.state = clock.state._replace(removal=Removal(frozen_until=NOON + seconds, adopted=True))
        clock.sees(5, workers=IDLE3).expects(None, reason, stopped="b" if reason is Reason.DRAINING else "")


def test_workers_are_asked_for_while_one_is_wanted_and_none_can_be_chosen():
    assert three().sees(15, workers=seen([5, 5, 5])).expects(None, Reason.DRAINING).decision.wants_workers


def test_a_refused_write_makes_it_forget_no_protection():
    clock = lowered(three()).wrote(Refused(2, "throttled"))
    clock.sees(5, desired=3, workers=PREPARED)
    assert clock.state.protected == {"a", "c"}


@pytest.mark.parametrize(("desired", "load", "stopped"), [(3, 25, ""), (2, 15, "b")])
def test_patience_has_no_end_where_more_are_listed_than_desired(desired: int, load: float, stopped: str):
    """The service may stop somebody at any moment: who is not protected takes no tasks."""
    clock = told(desired=desired, way_in=SafeRemoval())
    workers = seen([5, 0, 5], stopped="b")
    clock.sees(load, workers=workers).after(400).sees(load, workers=workers)
    assert clock.decision.intake_stopped == frozenset(stopped)


def test_where_the_size_goes_back_out_anyway_no_protection_is_in_danger():
    """Three are listed, two desired, three wished for: that is demand, and no hold."""
    clock = three().sees(5)
    clock.state = clock.state._replace(protected=frozenset("abc"))
    soon = seen([5, 5, 5], protected="abc", protected_until=NOON + 100)
    clock.after(10).sees(25, desired=2, workers=soon).after(10).sees(25, workers=soon)
    assert clock.expects(3, Reason.DEMAND, protected="abc").because() == [Reason.DEMAND]
