"""What is kept of the ticks: changes, holds run together, reasons; and not without bound."""

from __future__ import annotations

from policies.model import (
    Alarm,
    AlarmKind,
    Capacity,
    Decision,
    Demand,
    Observation,
    Reason,
    Stage,
    Unavailable,
)
from simulations.report.decision_log import decision_log
from simulations.report.recorder import HOLDS_KEPT, MOVES_KEPT, Recorder


def seen(at, size=2, queued=5.0):
    return Observation(at, Demand(queued, 1.0, at), Capacity(size, 0, size))


def decided(desired, wish, reason=Reason.DEMAND, note="", alarms=()):
    trail = [Stage("policy", wish, Reason.DEMAND)]
    if reason is not Reason.DEMAND:
        trail.append(Stage("guard", desired if desired is not None else 2, reason, note))
    return Decision(desired, tuple(trail), alarms=alarms)


def test_changes_are_entries_and_rest_is_not():
    """Out, nothing, in: two entries, and the desired count over time."""
    recorder = Recorder()
    recorder(seen(0), decided(4, 3.2))
    recorder(seen(30, size=4), decided(None, 4.0))
    recorder(seen(60, size=4), decided(1, 0.5))
    assert [(each.at, each.before, each.after, each.moves) for each in recorder.entries()] == [
        (0, 2, 4, True),
        (60, 4, 1, True),
    ]
    assert (recorder.desired_at, recorder.desired) == ([0, 60], [4, 1])
    assert (recorder.ticks, recorder.moves, recorder.holds) == (3, 2, 0)


def test_the_same_hold_again_is_one_entry():
    """Ten ticks of cooling down, then a rate: two holds with their spans."""
    recorder = Recorder()
    for tick in range(10):
        recorder(seen(30.0 * tick), decided(None, 9.0, Reason.COOLING_DOWN, f"{tick} s to go"))
    recorder(seen(300.0), decided(None, 9.0, Reason.RATE_LIMITED))
    first, second = recorder.entries()
    assert (first.at, first.until, first.ticks, first.reason) == (0, 270, 10, Reason.COOLING_DOWN)
    assert (second.at, second.ticks, second.reason, second.moves) == (300, 1, Reason.RATE_LIMITED, False)
    assert recorder.reasons == {("hold", Reason.COOLING_DOWN): 10, ("hold", Reason.RATE_LIMITED): 1}


def test_rest_at_the_minimum_is_no_news_and_a_float_s_last_bits_are_no_wish():
    recorder = Recorder()
    recorder(seen(0), decided(2, 0.0, Reason.AT_MINIMUM))
    recorder(seen(30), decided(None, 2.0000000000001))
    assert recorder.entries() == []
    assert {direction for direction, _ in recorder.reasons} == {"stay"}


def test_a_world_that_cannot_be_seen_is_shown_as_unseen():
    """No load, no fleet: the log says so, and what is not finite breaks nothing."""
    recorder = Recorder()
    blind = Observation(0.0, Unavailable("no answer"), Unavailable("no answer"))
    recorder(blind, decided(None, float("nan"), Reason.CAPACITY_UNKNOWN, "no answer"))
    (entry,) = recorder.entries()
    assert (entry.before, entry.queued) == (None, None)
    assert "stays -" in decision_log(recorder)


def test_an_alarm_is_an_entry_of_its_own():
    recorder = Recorder()
    alarm = Alarm(AlarmKind.PHANTOM_TASKS, "3 tasks <b>")
    recorder(seen(0), decided(None, 2.0, alarms=(alarm,)))
    assert "alarm: phantom tasks: 3 tasks &lt;b&gt;" in decision_log(recorder)


def test_the_largest_changes_and_the_longest_holds_stay():
    """However long the run; the log says how many there were."""
    recorder, at = Recorder(), 0.0
    for number in range(1, 1001):
        recorder(seen(at, size=1), decided(1 + number, 1.0 + number))
        for tick in range(1 + number % 7):
            recorder(seen(at + 1 + tick, size=2), decided(None, 9.0, Reason.COOLING_DOWN))
        at += 10
    entries = recorder.entries()
    moves = [each for each in entries if each.moves]
    assert len(moves) == MOVES_KEPT
    assert min(each.after for each in moves) == 1002 - MOVES_KEPT
    holds = [each for each in entries if not each.moves]
    assert len(holds) == HOLDS_KEPT
    assert min(each.ticks for each in holds) == 6
    assert [each.at for each in entries] == sorted(each.at for each in entries)
    log = decision_log(recorder)
    assert f"the {MOVES_KEPT} largest of 1,000 changes and the {HOLDS_KEPT} longest of 1,000 holds" in log
