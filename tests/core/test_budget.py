"""Worker-hours as a token bucket: spent, warned of, saved up; and what it bounds."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.budget import Budget
from autoscaler.core.codec import from_json, to_json
from autoscaler.core.guards import Bounds, WarmUp
from autoscaler.core.lull import lull_after
from autoscaler.core.state import State, Tokens
from policies.model import BudgetLeft, Reason
from tests.core.clock import NOON, listing, told

TEN_FOR_EVER = Budget(worker_hours_per_day=240, burst_worker_hours=80, floor_workers=2)
"""The worked example of the docstring."""


def test_the_worked_example():
    """Ten for ever; fifty for two hours from a full bucket; then two until twenty are back: 2.5 hours."""
    full = Tokens(80.0, NOON, 10)
    assert TEN_FOR_EVER.left(full) == BudgetLeft(80.0, float("inf"))
    assert TEN_FOR_EVER.counted(full, NOON + 1e6, 50) == Tokens(80.0, NOON + 1e6, 50)
    busy = replace(full, workers=50)
    assert TEN_FOR_EVER.left(busy) == BudgetLeft(80.0, 7200.0)
    spent = TEN_FOR_EVER.counted(busy, NOON + 7200, 2)
    assert spent == Tokens(0.0, NOON + 7200, 2, spent=True)
    assert TEN_FOR_EVER.counted(spent, NOON + 7200 + 8999, 2).spent
    assert not TEN_FOR_EVER.counted(spent, NOON + 7200 + 9000, 2).spent


def spending(**configuration):
    """Twenty workers, of whom ten are paid for: the quarter of the burst lasts for two hours."""
    return told(budget=TEN_FOR_EVER, desired=20, bounds=Bounds(1, 50), **configuration)


def idle(workers):
    return listing([0.0] * workers)


def test_it_is_said_beforehand_and_then_the_fleet_goes_in_to_the_floor():
    """An hour before, and on time; demand does not change it."""
    clock = spending().sees(200).expects(None, Reason.DEMAND)
    assert clock.decision.budget == BudgetLeft(20.0, 7200.0)
    clock.after(3590).sees(200).expects(None, Reason.DEMAND)
    clock.after(20).sees(200).expects(None, Reason.BUDGET_LOW)
    assert clock.decision.trail[-1].note == "spent in 3590 s at 20 workers"
    clock.after(3591).sees(200).expects(None, Reason.WORKERS_UNLISTED)
    assert clock.decision.trail[-2].reason is Reason.BUDGET_SPENT
    assert clock.decision.trail[-2].note == "20.0 worker-hours to save up, at best in 9001 s"
    assert clock.decision.budget.seconds == 0.0
    clock.after(10).sees(200, workers=idle(20)).expects(2, Reason.BUDGET_SPENT)


def test_a_spent_budget_opens_again_with_a_quarter_of_the_burst_and_not_before():
    """Else a token would let the fleet out, for a tick."""
    clock = spending().sees(200).after(hours(2)).sees(200).after(10).sees(200, workers=idle(20))
    clock.expects(2, Reason.BUDGET_SPENT).after(10).sees(200).expects(None, Reason.BUDGET_SPENT)
    clock.after(hours(2.5)).sees(200).expects(None, Reason.BUDGET_SPENT)
    clock.after(60).sees(200).expects(20, Reason.DEMAND)


def hours(number):
    return 3600.0 * number


def test_workers_that_must_be_held_stay_and_become_a_debt():
    """A busy worker is worth more than a budget; the debt ends at a burst."""
    clock = spending().sees(200).after(hours(2)).sees(200)
    clock.after(10).sees(200, workers=listing([10.0] * 20)).expects(
        None, Reason.PROTECTING, protected="abcdefghijklmnopqrst"
    )
    clock.after(hours(20)).sees(200)
    assert clock.decision.budget == BudgetLeft(-80.0, 0.0)


def test_without_data_nothing_goes_in_and_a_spent_budget_lets_nothing_out():
    clock = spending().sees(200).after(hours(2)).sees(200, unreadable="down").expects(None, Reason.NO_DATA)
    clock.after(10).sees(queued=500, demand={"whole": False}).expects(None, Reason.BUDGET_SPENT)


def test_a_minimum_is_kept_whatever_the_budget_says():
    clock = spending().reloads(bounds=Bounds(5, 50)).sees(200).after(hours(2)).sees(200)
    clock.after(10).sees(200, workers=idle(20)).expects(5, Reason.AT_MINIMUM)


def test_a_gap_is_charged_with_the_workers_seen_before_it():
    """Nobody looked for an hour: 20 workers ran as far as is known."""
    clock = spending().sees(200).after(hours(0.5)).sees(200, fleet_unknown="no answer")
    assert clock.decision.budget is None
    clock.after(hours(0.5)).sees(200, desired=4)
    assert clock.decision.budget == BudgetLeft(10.0, float("inf"))


def test_a_clock_that_is_set_back_charges_nothing():
    clock = spending().sees(200)
    clock.at -= 7200
    assert clock.sees(200).decision.budget == BudgetLeft(20.0, 7200.0)
    assert clock.after(hours(1)).sees(200).decision.budget == BudgetLeft(10.0, 3600.0)


def test_pending_workers_are_charged_like_running_ones():
    clock = spending().sees(200, pending=15).after(hours(1)).sees(200).expects(None, Reason.BUDGET_LOW)
    assert clock.decision.budget == BudgetLeft(10.0, 3600.0)


def test_a_restart_never_shrinks_nor_hands_out_a_burst():
    """It begins with a quarter; while it warms up not even a spent budget takes a worker."""
    small = Budget(240, 0.01)
    clock = told(budget=small, warm_up=WarmUp(120.0), desired=20).sees(200)
    assert clock.decision.budget.worker_hours == pytest.approx(0.0025)
    clock.after(60).sees(200).expects(None, Reason.WARMING_UP)
    clock.after(60).sees(200).after(1).sees(200, workers=idle(20)).expects(1, Reason.AT_MINIMUM)


def test_a_reload_keeps_what_was_saved_unless_the_new_bucket_is_smaller():
    clock = spending().sees(200)
    clock.reloads(budget=replace(TEN_FOR_EVER, burst_worker_hours=8)).sees(200)
    assert clock.decision.budget.worker_hours == 8
    assert clock.reloads(budget=None).sees(200).decision.budget is None
    assert clock.state.tokens is None


def test_its_state_is_in_the_record():
    """A record of an older version has none."""
    tokens = spending().sees(200).state.tokens
    assert from_json(to_json(tokens), Tokens) == tokens
    document = to_json(spending().sees(200).state)
    assert from_json(document, State).tokens == tokens
    del document["tokens"]
    assert from_json(document, State).tokens is None


def test_time_alone_changes_it_so_no_look_is_passed_over():
    clock = spending(acts=False).sees(200)
    assert lull_after(clock.controller, clock.state, clock.decision) is None


@pytest.mark.parametrize("floor", [10, 11])
def test_a_floor_that_uses_all_of_it_is_refused(floor):
    with pytest.raises(ValueError, match="floor_workers") as caught:
        replace(TEN_FOR_EVER, floor_workers=floor)
    assert str(caught.value) == (
        f"floor_workers {floor} use {24 * floor} worker-hours a day, all of worker_hours_per_day 240: "
        "nothing would ever come back"
    )


@given(
    st.lists(st.tuples(st.sampled_from([10.0, 30.0, 60.0]), st.integers(0, 260)), min_size=20, max_size=300),
    st.sampled_from([24.0, 120.0, 480.0]),
    st.sampled_from([2.0, 20.0]),
    st.sampled_from([0, 40, 100]),
)
@settings(max_examples=60, deadline=None)
def test_no_load_gets_more_than_what_was_saved_and_what_came_in(looks, per_day, burst, restart):
    """But for the three looks that an idle fleet takes to leave; a restart hands out a quarter."""
    clock = told(budget=Budget(per_day, burst), desired=1, bounds=Bounds(0, 26))
    began, used, lives = clock.at, 0.0, 1
    for number, (seconds, load) in enumerate(looks):
        if number == restart > 0:
            clock.state, lives = clock.controller.initial(), 2
        clock.sees(queued=load, workers=idle(clock.desired)).after(seconds)
        used += clock.desired * seconds / 3600
    came_in = per_day / 24 * (clock.at - began) / 3600
    assert used <= came_in + lives * (burst / 4 + 3 * 26 * 60 / 3600)


def test_the_last_worker_hour_counts_to_its_end():
    """Half an hour left: ten more than are paid for use it up in three minutes, half a worker in an hour."""
    half = Tokens(0.5, NOON, 20)
    assert TEN_FOR_EVER.left(half) == BudgetLeft(0.5, 180.0)
    assert not TEN_FOR_EVER.counted(half, NOON + 90, 20).spent
    assert Budget(228, 80).left(Tokens(0.5, NOON, 10)) == BudgetLeft(0.5, 3600.0)
    assert TEN_FOR_EVER.left(Tokens(0.5, NOON, 20, spent=True)) == BudgetLeft(0.5, 0.0)


def test_a_floor_that_eats_the_budget_says_by_how_much():
    message = "floor_workers 10 use 240 worker-hours a day, all of worker_hours_per_day 240: nothing would"
    with pytest.raises(ValueError, match=message):
        Budget(240, 80, 10)
