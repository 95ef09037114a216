"""What may follow --vary, and which settings come of it."""

from __future__ import annotations

import pytest

from autoscaler.cli.candidates import place_in
from simulations.space import Space
from simulations.vary import MOST_SETTINGS, VaryError, applied, drawn, grid, label, parse
from tests.simulations.planning import BASE, axis, candidate_of

PLACE_OF = place_in({"policy": {"name": "mwaa"}})


@pytest.mark.parametrize(
    ("text", "place", "values"),
    [
        ("slots=4,8", ("slots_per_worker",), (4, 8)),
        ("min=0", ("min_workers",), (0,)),
        ("max_workers=5, 10", ("max_workers",), (5, 10)),
        ("tick=10.5", ("interval_seconds",), (10.5,)),
        ("idle_seconds=60,120", ("policy", "idle_seconds"), (60, 120)),
        ("policy.anything=1", ("policy", "anything"), (1,)),
        ("scale_in=when-idle,continuous", ("policy", "scale_in"), ("when-idle", "continuous")),
        ("cooldown_in_seconds=0,300", ("guards", "cooldown_in_seconds"), (0, 300)),
        ("guards.warm_up_seconds=0", ("guards", "warm_up_seconds"), (0,)),
        ("price=x86:1:2,arm:1:2", ("price",), ("x86:1:2", "arm:1:2")),
        ("policy={name='mwaa'},{name='own:One'}", ("policy",), ({"name": "mwaa"}, {"name": "own:One"})),
        ("environment_class=mw1.small", ("policy", "environment_class"), ("mw1.small",)),
    ],
)
def test_names_have_places_and_values_are_tomls(text, place, values):
    """Words need no quotes; every setting of policy and guards can be named, with or without its table."""
    found = parse(text, PLACE_OF)
    assert (found.place, found.values, found.is_range) == (place, values, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("slots", "expected name=value,value or name=low..high, got 'slots'"),
        ("slots=", "expected name=value,value"),
        ("=4", "expected name=value,value"),
        ("slotz=4", "slotz is not a setting; did you mean slots?"),
        (
            "colour=red",
            "colour is not a setting; it can be budget, cooldown_in_seconds",
        ),
        ("guards.nothing=1", "guards.nothing is not a setting"),
        ("slots=4,8,4", "slots names a value twice: 4,8,4"),
        ("scale_in=a,,b", "scale_in has an empty value"),
        ("slots=8..4", "from the smaller to the larger"),
        ("slots=a..b", "from one number to another"),
        ("slots=1..true", "from one number to another"),
    ],
)
def test_what_cannot_be_varied_gets_its_line(text, message):
    with pytest.raises(VaryError, match=message.replace(".", r"\.").replace("?", r"\?")):
        parse(text, PLACE_OF)


def test_a_grid_is_every_combination_in_order():
    axes = [axis("a", 1, 2), axis("b", "x", "y")]
    assert [label(point) for point in grid(axes)] == ["a=1 b=x", "a=1 b=y", "a=2 b=x", "a=2 b=y"]


def test_a_grid_has_no_ranges_no_repetition_and_an_end():
    with pytest.raises(VaryError, match=r"slots=4\.\.8 is a range: list its values, or draw"):
        grid([parse("slots=4..8", PLACE_OF)])
    with pytest.raises(VaryError, match="max_workers is varied twice"):
        grid([parse("max=1", PLACE_OF), parse("max_workers=2", PLACE_OF)])
    with pytest.raises(VaryError, match="combinations are too many"):
        grid([axis("a", *range(MOST_SETTINGS // 100)), axis("b", *range(101))])


def test_lots_are_drawn_again_by_their_seed_and_never_twice():
    """Whole numbers between whole ends, others between others; no more than there are."""
    axes = [parse("slots=1..3", PLACE_OF), parse("idle_seconds=0.5..1.0", PLACE_OF), axis("b", "x", "y")]
    points = drawn(axes, 20, seed=4)
    assert points == drawn(axes, 20, seed=4) != drawn(axes, 20, seed=5)
    assert len({label(point) for point in points}) == 20
    values = [[value for _, _, value in point] for point in points]
    assert {each[0] for each in values} == {1, 2, 3}
    assert all(0.5 <= each[1] <= 1.0 for each in values)
    assert len(drawn([axis("b", "x", "y")], 10, seed=1)) == 2
    with pytest.raises(VaryError, match="random: expected at least 1, got 0"):
        drawn(axes, 0, seed=1)


def test_a_whole_policy_comes_before_its_fields():
    """Whatever the order on the command line; the base stays as it was."""
    base = {"policy": {"name": "old", "x": 1}, "min_workers": 1}
    field, whole = ("x", ("policy", "x"), 5), ("policy", ("policy",), {"name": "new"})
    assert applied(base, (field, whole)) == {"policy": {"name": "new", "x": 5}, "min_workers": 1}
    assert applied({}, (field,)) == {"policy": {"x": 5}}
    assert base["policy"] == {"name": "old", "x": 1}
    assert label((whole, ("y", ("y",), 0.5))) == "policy=new y=0.5"


def test_a_minimum_above_the_maximum_is_left_out_and_counted():
    axes = [axis("min_workers", 1, 6), axis("max_workers", 5, 10)]
    found = Space(BASE, axes, candidate_of).candidates(None, 0)
    assert len(found.candidates) == len(found.points) == 3
    assert found.left_out == 1
    with pytest.raises(ValueError, match="in every combination min_workers is above max_workers"):
        Space(BASE, [axis("min_workers", 6), axis("max_workers", 5)], candidate_of).candidates(None, 0)


def test_two_ways_to_say_one_setting_are_one_candidate():
    axes = [axis("policy", "mwaa", {"name": "mwaa"})]
    assert len(Space(BASE, axes, candidate_of).candidates(None, 0).candidates) == 1
