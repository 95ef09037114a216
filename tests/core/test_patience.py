"""How far each victim has come, told look by look: every step, every deadline, every way back."""

from dataclasses import replace

import numpy as np
import pytest

from autoscaler.core.listing import Listing
from autoscaler.core.proposal import Context
from autoscaler.core.state import NOTHING, Phase, Removal, Spared, Victim
from autoscaler.core.victims import Patience, chosen, least_advanced
from policies.model import Capacity, Demand, Evidence, LastWrite, Observation, Refused, Unknown
from tests.core.clock import NOON, listing, told

PATIENCE = Patience()
BUSY, EMPTY = 1.0, 0.0
NOBODY = frozenset()


def look(
    *busy: float,
    stopped: str = "",
    current: int = 9,
    last_write: LastWrite = None,
    outdated: str = "",
    work_left: tuple[float, ...] | None = None,
) -> tuple[Listing, Context]:
    """Workers a, b ... as they are at noon."""
    names = "abcdefgh"[: len(busy)]
    consuming = np.array([float(name not in stopped) for name in names])
    seconds = None if work_left is None else np.array(work_left)
    workers = listing(list(busy), consuming=consuming, work_left_seconds=seconds)
    workers = replace(workers, outdated=frozenset(outdated))
    capacity, demand = Capacity(current, 0, len(busy), workers=workers), Demand(0.0, 1.0, NOON)
    observation = Observation(NOON, demand, capacity, Evidence(NOON, (), NOON), last_write)
    context = Context(NOON, observation, demand, capacity, current, told().state)
    return Listing(workers, context, 60.0, 600.0), context


def victim(phase: Phase, since: float = 50.0, *, worker: str = "a", chosen_ago: float = 100.0) -> Victim:
    """Chosen so many seconds ago, and in its phase for so many."""
    return Victim(worker, phase, NOON - chosen_ago, NOON - since)


def after(removal: Removal, *busy: float, patience: Patience = PATIENCE, **seen) -> Removal:
    return patience.advanced(removal, *look(*busy, **seen))


@pytest.mark.parametrize(
    ("phase", "since", "busy", "stopped", "then", "since_then"),
    [
        (Phase.STOPPING, 50.0, EMPTY, "", Phase.STOPPING, 50.0),
        (Phase.EMPTYING, 50.0, EMPTY, "", Phase.STOPPING, 0.0),
        (Phase.READY, 50.0, EMPTY, "", Phase.STOPPING, 0.0),
        (Phase.STOPPING, 50.0, BUSY, "a", Phase.EMPTYING, 0.0),
        (Phase.EMPTYING, 50.0, BUSY, "a", Phase.EMPTYING, 50.0),
        (Phase.IDLE, 50.0, BUSY, "a", Phase.EMPTYING, 0.0),
        (Phase.READY, 50.0, BUSY, "a", Phase.EMPTYING, 0.0),
        (Phase.STOPPING, 50.0, EMPTY, "a", Phase.IDLE, 0.0),
        (Phase.EMPTYING, 50.0, EMPTY, "a", Phase.IDLE, 0.0),
        (Phase.IDLE, 4.5, EMPTY, "a", Phase.IDLE, 4.5),
        (Phase.IDLE, 5.0, EMPTY, "a", Phase.READY, 0.0),
        (Phase.READY, 50.0, EMPTY, "a", Phase.READY, 50.0),
    ],
)
def test_a_victim_goes_on_by_what_is_seen_and_back_by_any_doubt(
    phase: Phase, since: float, busy: float, stopped: str, then: Phase, since_then: float
):
    """Since when is kept while the phase is; five seconds lie between the two looks that find it empty."""
    removal = after(Removal((victim(phase, since),)), busy, stopped=stopped)
    assert removal.victims == (victim(then, since_then),)


@pytest.mark.parametrize(("phase", "since_then"), [(Phase.STOPPING, 0.0), (Phase.EMPTYING, 50.0)])
def test_who_may_be_killed_is_ready_at_the_deadline(phase: Phase, since_then: float):
    """With the work it holds, once its intake is seen stopped."""
    kills = Patience(deadline_seconds=100.0, kills=True)
    removal = after(Removal((victim(phase),)), BUSY, stopped="a", patience=kills)
    assert removal.victims == (victim(Phase.READY, since_then),)
    assert removal.spared == ()


@pytest.mark.parametrize(("chosen_ago", "kept"), [(3599.5, True), (3600.0, False)])
def test_who_has_had_its_time_is_spared_for_as_long(chosen_ago: float, kept: bool):  # noqa: FBT001
    removal = after(Removal((victim(Phase.EMPTYING, chosen_ago=chosen_ago),)), BUSY, stopped="a")
    assert (removal.victims == ()) is not kept
    assert removal.spared == (() if kept else (Spared("a", NOON + 3600),))


def test_an_old_deployments_worker_is_never_spared():
    removal = Removal((victim(Phase.EMPTYING, chosen_ago=9999.0),))
    assert after(removal, BUSY, stopped="a", outdated="a").victims == removal.victims


def test_sparing_ends_at_its_instant_or_with_the_worker():
    spared = (Spared("a", NOON), Spared("b", NOON + 1), Spared("gone", NOON + 1))
    assert after(Removal(spared=spared), EMPTY, EMPTY).spared == (Spared("b", NOON + 1),)


def leaving(since: float, worker: str = "a") -> Victim:
    return victim(Phase.LEAVING, since, worker=worker)


def test_who_is_leaving_is_waited_for_while_the_write_settles():
    """A minute; then it is plain that it stays, and that another one was stopped."""
    removal = Removal((leaving(59.5),), lowered_to=1)
    assert after(removal, EMPTY, stopped="a", current=1) == removal._replace(idle_since=(("a", NOON),))
    frozen = after(Removal((leaving(60.0),), lowered_to=1), EMPTY, stopped="a", current=1)
    assert (frozen.victims, frozen.lowered_to, frozen.frozen_until) == ((), None, NOON + 3600)


def test_a_size_that_was_raised_again_is_no_wrong_worker():
    removal = after(Removal((leaving(60.0),), lowered_to=1), EMPTY, EMPTY, stopped="a", current=2)
    assert (removal.victims, removal.frozen_until) == ((), NOTHING.frozen_until)


def test_a_surplus_is_waited_for_as_long_as_it_takes():
    """More are listed than desired: one of them has yet to stop."""
    removal = Removal((leaving(900.0), leaving(900.0, "b")), lowered_to=1)
    seen = after(removal, EMPTY, EMPTY, EMPTY, stopped="ab", current=1)
    assert (seen.victims, seen.lowered_to) == (removal.victims, 1)


def test_who_is_leaving_and_takes_tasks_was_given_them_by_somebody_else():
    removal = Removal((leaving(1.0), leaving(1.0, "b")), lowered_to=1)
    assert after(removal, EMPTY, EMPTY, stopped="b", current=1).victims == (leaving(1.0, "b"),)


def test_who_has_gone_is_forgotten():
    removal = Removal((leaving(1.0, "gone"), victim(Phase.IDLE, worker="gone too")), lowered_to=1)
    seen = after(removal, EMPTY, current=1)
    assert (seen.victims, seen.lowered_to) == ((), None)


@pytest.mark.parametrize(
    ("last_write", "phase"),
    [
        (Refused(1, "throttled"), Phase.STOPPING),
        (Refused(2, "throttled"), Phase.LEAVING),
        (Refused(None, "throttled"), Phase.LEAVING),
        (Unknown(1, "no answer"), Phase.LEAVING),
    ],
)
def test_a_refused_write_of_ours_is_one_that_nobody_leaves_by(last_write: LastWrite, phase: Phase):
    removal = Removal((leaving(1.0),), lowered_to=1)
    seen = after(removal, EMPTY, EMPTY, stopped="a", current=2, last_write=last_write)
    assert [each.phase for each in seen.victims] == [phase]


def test_a_refused_write_of_a_size_that_is_already_so_changes_nothing():
    removal = Removal((leaving(1.0),), lowered_to=1)
    seen = after(removal, EMPTY, stopped="a", current=1, last_write=Refused(1, "throttled"))
    assert seen.victims == removal.victims


def test_since_when_a_worker_has_been_empty():
    removal = after(Removal(idle_since=(("a", 5.0), ("b", 6.0))), EMPTY, BUSY, EMPTY)
    assert removal.idle_since == (("a", 5.0), ("c", NOON))


@pytest.mark.parametrize(
    ("one", "gives_up"),
    [
        (leaving(3600.0), True),
        (leaving(3599.5), False),
        (victim(Phase.EMPTYING, chosen_ago=3600.0), True),
        (victim(Phase.EMPTYING, chosen_ago=3599.5), False),
    ],
)
def test_deadlines_run_while_nobody_looks(one: Victim, gives_up: bool):  # noqa: FBT001
    """An undo ends all but those that are leaving; who may be killed waits on."""
    removal = Removal((one,))
    assert (PATIENCE.unseen(removal, NOON, undo=False).victims == ()) is gives_up
    undone = PATIENCE.unseen(removal, NOON, undo=True).victims == ()
    assert undone is (gives_up or one.phase is not Phase.LEAVING)
    killing = replace(PATIENCE, kills=True).unseen(removal, NOON, undo=False).victims == ()
    assert killing is (gives_up and one.phase is Phase.LEAVING)


def test_a_clock_that_is_set_back_prolongs_nothing():
    """No instant lies in the future, and no end further away than it could have been set."""
    later = NOON + 7200
    removal = Removal(
        (Victim("a", Phase.EMPTYING, later, later),),
        (Spared("b", later + 3600),),
        frozen_until=later + 3600,
        unsure_until=later + 60,
    )
    seen = after(removal, BUSY, EMPTY, stopped="a")
    assert seen.victims == (Victim("a", Phase.EMPTYING, NOON, NOON),)
    assert seen.spared == (Spared("b", NOON + 3600),)
    assert (seen.frozen_until, seen.unsure_until) == (NOON + 3600, NOON + 60)


def test_the_least_advanced_go_back_and_of_those_the_last_chosen():
    victims = (
        victim(Phase.READY, worker="a"),
        victim(Phase.EMPTYING, worker="b", chosen_ago=10.0),
        victim(Phase.EMPTYING, worker="c", chosen_ago=90.0),
        victim(Phase.IDLE, worker="d"),
        victim(Phase.STOPPING, worker="e"),
        leaving(1.0, "f"),
    )
    order = [least_advanced(Removal(victims), count) for count in range(-1, 7)]
    assert order == [frozenset(part) for part in ("", "", "e", "eb", "ebc", "ebcd", "ebcda", "ebcda")]


@pytest.mark.parametrize(("count", "names"), [(-1, ""), (0, ""), (1, "b"), (2, "ba"), (9, "bac")])
def test_the_longest_empty_are_chosen_up_to_a_count(count: int, names: str):
    """One that was not empty at the last look comes after all that were."""
    removal = Removal(idle_since=(("a", NOON - 1), ("b", NOON - 9)))
    seen, _ = look(EMPTY, EMPTY, EMPTY, BUSY)
    victims = chosen(removal, seen, seen.running, count, NOON, deaf=NOBODY, only_empty=True).victims
    assert victims == tuple(Victim(name, Phase.STOPPING, NOON, NOON) for name in names)


@pytest.mark.parametrize(
    ("phase", "stays"),
    [(Phase.STOPPING, False), (Phase.EMPTYING, False), (Phase.IDLE, True), (Phase.READY, True)],
)
def test_who_is_waited_for_gives_its_place_to_an_empty_one(phase: Phase, stays: bool):  # noqa: FBT001
    """It holds work; one that has come further leaves with what it may have got since."""
    removal = Removal((victim(phase),))
    seen, _ = look(BUSY, EMPTY, stopped="a")
    kept = chosen(removal, seen, seen.running, 0, NOON, deaf=NOBODY, only_empty=False)
    assert kept.victims == (removal.victims if stays else ())


@pytest.mark.parametrize(
    ("count", "names", "new"), [(0, "a", ""), (1, "ab", ""), (2, "abc", "de"), (-1, "a", "")]
)
def test_as_many_places_are_given_back_as_empty_ones_can_take(count: int, names: str, new: str):
    """Three hold work, two are empty; first the one with the most work left goes back, then the next one."""
    removal = Removal(tuple(victim(Phase.EMPTYING, worker=name) for name in "abc"))
    seen, _ = look(BUSY, BUSY, BUSY, EMPTY, EMPTY, stopped="abc", work_left=(30.0, 60.0, 90.0, 0.0, 0.0))
    kept = chosen(removal, seen, seen.running, count, NOON, deaf=NOBODY, only_empty=False).victims
    assert {each.worker for each in kept} == set(names + new)
