"""Who of the workers that hold work leaves first, by what such tasks took before."""

import numpy as np

from autoscaler.core.removal import SafeRemoval
from autoscaler.core.victims import Patience
from policies.model import Reason
from tests.core.clock import listing, told

GATHERING = SafeRemoval(Patience(deadline_seconds=1000.0), consolidates=True)
UNKNOWN = float("nan")


def gathering(busy, left=None, *, stopped=""):
    """Workers a, b, c ... of ten slots, and the seconds after which they are expected to be empty."""
    names = "abcdefghijklmnop"[: len(busy)]
    return listing(
        busy,
        consuming=np.array([float(name not in stopped) for name in names]),
        work_left_seconds=None if left is None else np.array(left, float),
    )


def story(load, workers):
    return told(desired=len(workers), way_in=GATHERING).sees(load).after(10).sees(load, workers=workers)


def test_the_least_work_left_leaves_first():
    """One task of a minute is sooner done than one of ten minutes, and than two of which nobody knows."""
    busy, left = [5, 1, 1, 2], [300, 600, 60, UNKNOWN]
    story(9, gathering(busy, left)).expects(None, Reason.DRAINING, stopped="c")


def test_without_a_past_the_fewest_tasks_leave_first():
    """Unknown is unknown for all, and the work of one task is likely to be less than that of two."""
    story(9, gathering([5, 3, 1, 2])).expects(None, Reason.DRAINING, stopped="c")
    story(9, gathering([5, 3, 1, 2], [UNKNOWN] * 4)).expects(None, Reason.DRAINING, stopped="c")


def test_known_work_leaves_before_unknown_work():
    story(9, gathering([1, 5, 1, 2], [UNKNOWN, 900, UNKNOWN, UNKNOWN])).expects(
        None, Reason.DRAINING, stopped="b"
    )


def test_nobody_is_chosen_whose_work_exceeds_the_deadline():
    """It would take tasks again before it was empty; half an hour's work is not begun with 1,000 s to go."""
    story(9, gathering([5, 1, 1, 2], [1001, 1800, 5000, 1000])).expects(None, Reason.DRAINING, stopped="d")
    story(9, gathering([5, 1, 1, 2], [1001] * 4)).expects(None, Reason.DRAINING, stopped="")


def test_an_empty_worker_leaves_before_any_busy_one():
    story(9, gathering([5, 1, 0, 2], [1, 1, 0, 1])).expects(None, Reason.DRAINING, stopped="c")


def test_a_busy_worker_gives_its_place_to_an_empty_one():
    """It may hold its task for an hour, in which the empty one would have to stay."""
    clock = story(9, gathering([5, 1, 1, 2], [300, 90, 60, 300])).expects(None, Reason.DRAINING, stopped="c")
    clock.after(10).sees(9, workers=gathering([7, 0, 1, 2], [300, 0, 600, 300], stopped="c"))
    clock.expects(None, Reason.DRAINING, stopped="c", protected="c")
    everybody = gathering([7, 0, 1, 2], [300, 0, 600, 300])
    clock.after(10).sees(9, workers=everybody).after(10).sees(9, workers=everybody)
    clock.expects(None, Reason.DRAINING, stopped="b")


def test_of_two_busy_ones_the_longer_work_gives_way():
    busy, left = [9, 9, 9, 9, 9, 9, 1, 1], [300] * 6 + [60, 90]
    clock = story(56, gathering(busy, left)).expects(None, Reason.DRAINING, stopped="gh")
    clock.after(10).sees(56, workers=gathering([9] * 5 + [0, 1, 1], [300] * 5 + [0, 500, 40], stopped="gh"))
    clock.expects(None, Reason.DRAINING, stopped="gh", protected="g")


def test_whoever_is_about_to_leave_gives_its_place_to_nobody():
    """A second empty worker waits for its turn."""
    clock = story(9, gathering([5, 1, 0, 2], [1, 1, 0, 1])).expects(None, Reason.DRAINING, stopped="c")
    clock.after(10).sees(9, workers=gathering([8, 0, 0, 2], [1, 0, 0, 1], stopped="c"))
    clock.expects(None, Reason.DRAINING, stopped="c", protected="abd")


def test_where_there_is_room_for_both_nobody_gives_way():
    """Two of eight may stop: the busy one that was chosen, and the one that is empty now."""
    busy, left = [9, 9, 9, 9, 9, 9, 1, 1], [5000] * 6 + [60, 5000]
    clock = story(56, gathering(busy, left)).expects(None, Reason.DRAINING, stopped="g")
    later = [5000] * 5 + [0, 60, 5000]
    clock.after(10).sees(56, workers=gathering([9, 9, 9, 9, 9, 0, 1, 10], later, stopped="g"))
    clock.expects(None, Reason.DRAINING, stopped="fg")


def test_where_too_many_are_stopped_already_nobody_joins_them():
    """Half of the workers have died: two of the four that are left are stopped."""
    clock = story(30, gathering([0, 0, 5, 5, 5, 5, 5, 5])).expects(None, Reason.DRAINING, stopped="ab")
    clock.after(10).sees(30, workers=gathering([0, 0, 0, 0], stopped="ab"))
    clock.expects(None, Reason.DRAINING, stopped="ab", protected="cd")
