import pytest

from autoscaler.demo.script import TWO_MINUTES
from autoscaler.demo.story import Phase, Story
from tests.demo.stories import SHORT, out_and_back, sample, workers


def _story(*samples) -> Story:
    story = Story(SHORT, tasks=20, started_at=0.0)
    for each in samples:
        story.add(each, [])
    return story


def test_a_fleet_that_went_out_and_stands_at_its_minimum_has_come_back():
    """All of it: tasks done, more than the minimum has run, nothing is still stopping."""
    story = out_and_back()
    assert story.went_out
    assert story.came_back
    assert story.peak == 3


@pytest.mark.parametrize(
    "last",
    [
        sample(8, (0, 0, 19), 1),
        sample(8, (0, 0, 20), 2),
        sample(8, (0, 0, 20), 1, workers(2)),
        sample(8, (0, 0, 20), 1, workers(1, stopping=1)),
        sample(8, (0, 0, 20), 1, workers(0, pending=1)),
    ],
    ids=["a task is missing", "more are wanted", "more run", "one still stops", "one has not started"],
)
def test_not_back_while_anything_is_missing(last):
    """Each of the conditions counts by itself."""
    story = out_and_back()
    story.add(last, [])
    assert not story.came_back


def test_a_fleet_that_never_went_out_cannot_come_back():
    """Standing still is no demonstration."""
    story = _story(sample(0), sample(5, (0, 0, 20)))
    assert not story.went_out
    assert not story.came_back


def test_it_is_over_once_the_fleet_was_back_for_a_while_or_at_the_limit():
    """The quiet end is watched, and whatever does not happen ends at the limit."""
    story = out_and_back()
    assert not story.over
    story.add(sample(8.4, (0, 0, 20)), [])
    assert not story.over
    story.add(sample(8.5, (0, 0, 20)), [])
    assert story.over
    assert not _story(sample(119)).over
    assert _story(sample(120)).over


def test_phases_follow_load_and_fleet():
    """What a person watching would say at each step."""
    story = Story(SHORT, tasks=20, started_at=0.0)
    phases = []
    for each in out_and_back().samples:
        story.add(each, [])
        phases.append(story.phase)
    assert phases == [
        Phase.QUIET,
        Phase.LAUNCHING,
        Phase.DRAINING,
        Phase.IDLE,
        Phase.STOPPING,
        Phase.BACK,
    ]
    story.add(sample(9, (0, 2, 18), 1, workers(1)), [])
    assert story.phase is Phase.SERVED
    assert Story(SHORT, 20, 0.0).phase is Phase.QUIET


def test_the_same_seed_gives_the_same_tasks():
    """In the order of arrival, with durations around the wave's median."""
    arrivals = TWO_MINUTES.arrivals(seed=7)
    assert arrivals == TWO_MINUTES.arrivals(seed=7) != TWO_MINUTES.arrivals(seed=8)
    assert len(arrivals) == 108
    instants = [arrival.at_seconds for arrival in arrivals]
    assert instants == sorted(instants)
    assert all(1 < arrival.seconds < 40 for arrival in arrivals)
