"""A recommendation: the cheapest of its grid, judged on what came later, in the daemon's own words."""

from __future__ import annotations

import json
import tomllib

import numpy as np
import pytest

from autoscaler.cli.candidates import less_of, mwaa_classes
from autoscaler.configuration import load
from simulations.advice import Plan, configuration, run_recommend
from simulations.history_split import split
from simulations.recommend import Question, less, peak_workers, recommend, usual_axes
from simulations.slo import parse
from simulations.space import Space
from simulations.study import Frame
from simulations.toml_block import block, text
from simulations.trace import TraceError, trace_of
from tests.simulations.planning import BASE, axis, bursts, candidate, candidate_of, csv, study
from tests.simulations.worlds import tasks

SLO = parse("p90 wait < 60s")
AXES = [
    axis("min_workers", 1, 6, 7, 8),
    axis("max_workers", 6, 9),
    axis("scale_in", "when-idle", "continuous", place=("policy", "scale_in")),
]
SPACE = Space(BASE | {"policy": {"name": "mwaa"}}, AXES, candidate_of)


def plan(space=SPACE, **changes):
    return Plan(lambda _: space, less_of, [], **changes)


def test_it_is_the_cheapest_of_its_grid_by_brute_force():
    """Everything is played on both parts: nothing cheaper on the first holds on both."""
    here, found = study(bursts(12)), SPACE.candidates(None, 0).candidates
    advice = recommend(here, Question(SLO), found, less_of=less_of)
    holds: dict[str, list[bool]] = {each.key: [] for each in found}
    cost = {}
    for part in reversed(split(here.trace, 0.7)):
        for key, runs in here.outcomes(found, trace=part, slo=SLO).items():
            margins = [run.margins for run in runs]
            holds[key].append(SLO.kept(margins) and SLO.confidence(margins) >= 0.95)
            cost[key] = np.mean([run.figures["cost_usd"] for run in runs])
    both = {key: cost[key] for key in cost if all(holds[key])}
    assert 2 < len(both) < len(found)
    assert len(set(both.values())) > 2
    assert [both[each.candidate.key] for each in (advice.chosen, advice.next_best)] == sorted(both.values())[
        :2
    ]
    assert advice.tuned.cost_usd == both[advice.chosen.candidate.key]
    assert advice.chosen.kept
    assert advice.closest is None


def test_between_the_points_of_a_grid_something_cheaper_may_hold():
    """A grid of a minimum of 3 and of 9; it goes on from there until a little less does not hold."""
    axes = [axis("min_workers", 3, 9), axis("max_workers", 9)]
    coarse = Space(BASE | {"policy": {"name": "mwaa"}}, axes, candidate_of).candidates(None, 0).candidates
    here = study(bursts(12))
    question = Question(parse("p99 wait < 20s"))
    grid = recommend(here, question, coarse, less_of=less_of)
    finer = recommend(here, question, coarse, less_of=less_of, goes_on=True)
    assert finer.chosen.cost_usd < grid.chosen.cost_usd
    assert finer.tried > grid.tried == 2
    assert not any(each.kept and each.cost_usd < finer.chosen.cost_usd for each in finer.less)


def test_what_holds_only_on_the_first_part_is_not_recommended():
    """The load doubles later: the cheapest that was enough before is judged and found wanting."""
    early, late = bursts(6, tasks=12), bursts(6, tasks=40)
    growing = trace_of(
        np.concatenate([early.queued_at, 6 * 3600 + late.queued_at]),
        np.concatenate([early.duration_seconds, late.duration_seconds]),
    )
    space = Space(BASE | {"max_workers": 12}, [axis("min_workers", 2, 3, 9)], candidate_of)
    question = Question(SLO, split=0.5)
    advice = recommend(study(growing), question, space.candidates(None, 0).candidates, less_of=less_of)
    assert advice.chosen.candidate.setting["min_workers"] == 9
    assert advice.judged == 2
    assert advice.next_best is None


def test_if_nothing_holds_the_closest_is_named():
    """The surest on the last part, or on the first if none came further."""
    few = [candidate("one", max_workers=1), candidate("two", max_workers=2)]
    advice = recommend(study(), Question(SLO), few, less_of=less_of)
    assert advice.chosen is None
    assert advice.closest.candidate.label == "two"
    assert advice.judged == 0


def test_less_is_a_tenth_and_at_least_one():
    """Fewer workers at least and at most, fewer slots; nothing is tried that is no less."""
    assert [less(each) for each in (0, 1, 9, 10, 25, 100)] == [0, 0, 8, 9, 23, 90]
    poorer = less_of(candidate(min_workers=3, max_workers=30))
    assert [each.label for each in poorer] == [
        "min_workers 3 -> 2", "max_workers 30 -> 27", "slots_per_worker 4 -> 3",
    ]  # fmt: skip
    assert poorer[1].controller.guards.bounds.maximum == 27
    least = candidate(min_workers=1, max_workers=1, slots_per_worker=1)
    assert [each.label for each in less_of(least)] == ["min_workers 1 -> 0"]


def test_the_rivals_are_amazons_classes_as_amazon_sells_them():
    """Slots and prices of the class; one worker in the smallest, which does not scale."""
    rivals = {each.setting["price"]: each for each in mwaa_classes()}
    assert [rivals[name].slots for name in ("mw1.micro", "mw1.small", "mw1.2xlarge")] == [3, 5, 80]
    assert rivals["mw1.micro"].controller.guards.bounds.maximum == 1
    assert rivals["mw1.large"].controller.guards.bounds.maximum == 25
    assert rivals["mw1.large"].price.base_usd_per_hour == 0.99


def test_a_history_is_cut_in_time_and_loses_nothing():
    """Every task is in one part, at its own time; a parent in the other part drops out."""
    trace = tasks(*((float(10 * row), 5.0) for row in range(50)), edges=([0, 0, 45], [1, 46, 47]))
    first, last = split(trace, 0.5)
    assert (len(first), len(last)) == (25, 25)
    times = [part.starts_at + part.queued_at for part in (first, last)]
    assert np.array_equal(np.concatenate(times), trace.starts_at + trace.queued_at)
    assert (first.edge_parent.tolist(), first.edge_child.tolist()) == ([0], [1])
    assert (last.edge_parent.tolist(), last.edge_child.tolist()) == ([20], [22])
    assert (first.keys[3], last.keys[3]) == (4, 29)


def test_a_history_too_short_to_be_cut_is_refused():
    with pytest.raises(TraceError, match="the last part has 8 tasks; expected at least 20: give a longer"):
        split(tasks(*((float(row), 5.0) for row in range(40))), 0.8)
    for share in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="split: expected a number between 0 and 1"):
            split(bursts(), share)


def test_the_usual_search_is_around_the_peak():
    """Three tasks at a time at most: an end frees the slot that a start at that instant takes."""
    trace = tasks((0, 10), (5, 10), (10, 10), (12, 1), (100, 5))
    assert peak_workers(trace, 1) == 3
    assert peak_workers(trace, 2) == 2
    low, high, *_ = usual_axes(40, mwaa=False)
    assert low.values == (0, 1, 5, 10, 20, 40)
    assert high.values == (10, 20, 30, 40)
    assert usual_axes(40, mwaa=True)[-1].name == "scale_in"


def test_the_advice_is_a_configuration_that_the_daemon_takes(tmp_path):
    """As a whole file, and as the table of a target that there is, with the same decisions in it."""
    guards = {"stabilization_in_seconds": 300.0, "rate_in": {"rules": [{"value": 2, "period_seconds": 60}]}}
    policy = {"name": "mwaa", "scale_in": "continuous"}
    chosen = candidate(policy=policy, max_workers=7, guards=guards)
    path = tmp_path / "autoscaler.toml"
    path.write_text(configuration(chosen, plan(target="own name")))
    target = load(path, {}).targets["own name"]
    assert (target.slots, target.minimum, target.maximum, target.interval_seconds) == (4, 1, 7, 30.0)
    assert target.policy == policy
    assert target.guards.stabilization_in_seconds == 300.0
    assert target.guards.rate_in.rules[0].value == 2
    there = candidate(policy=policy, cluster="c", service="s")
    table = tomllib.loads(configuration(there, plan(whole_file=False)))["targets"]["default"]
    assert (table["cluster"], table["service"], table["policy"]) == ("c", "s", policy)
    assert "price" not in table


def test_a_block_survives_odd_values():
    """Quotes, controls, blanks in keys, tables in lists."""
    odd = {
        "a b": 'x"y\\\n\x7f\x01é',
        "list": [1, 2.5, True, {"k": "v"}],
        "policy": {"name": "p", "deep": {"x": 1}},
    }
    assert tomllib.loads(block("targets.one", odd)) == {"targets": {"one": odd}}
    with pytest.raises(TypeError, match="TOML has no NoneType"):
        text(None)


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text(csv(bursts(12)))
    return path


def test_the_whole_answer_for_a_person(trace, tmp_path, capsys):
    """Choice, next best, a little less, Amazon's classes; what cannot run says why; a block that loads."""
    rivals = [candidate("wide", min_workers=0, max_workers=0), *mwaa_classes()[1:2]]
    frame = Frame(trace, seed=1, runs=2, jobs=1)
    assert run_recommend(frame, Question(SLO), Plan(lambda _: SPACE, less_of, rivals)) == 0
    out = capsys.readouterr().out
    for words in ("seed 1", "recommended", "next best", "with a little less", "Amazon MWAA", "cannot run",
                  "wide: the maximum is 0 workers", "12 settings tried"):  # fmt: skip
        assert words in out
    path = tmp_path / "advice.toml"
    path.write_text(out[out.index("[airflow]") :])
    assert load(path, {}).targets["default"].slots == 4


def test_the_whole_answer_for_a_script(trace, tmp_path, capsys):
    """The same in JSON, its TOML included."""
    frame = Frame(trace, seed=1, runs=2, jobs=1, as_json=True)
    rivals = [candidate("wide", min_workers=0, max_workers=0)]
    assert run_recommend(frame, Question(SLO), Plan(lambda _: SPACE, less_of, rivals)) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["chosen"]["kept"]
    assert answer["chosen"]["cost_usd"] <= answer["next_best"]["cost_usd"] * 1.5
    assert answer["closest"] is None
    assert "the maximum is 0" in answer["mwaa"][0]["error"]
    path = tmp_path / "advice.toml"
    path.write_text(answer["toml"])
    assert load(path, {})


def test_a_promise_that_nothing_keeps_is_exit_code_one_and_the_closest(trace, capsys):
    frame = Frame(trace, seed=1, runs=2, jobs=1)
    never = Question(parse("max wait <= 0s"))
    assert run_recommend(frame, never, plan(Space(BASE, [axis("max_workers", 1, 2)], candidate_of))) == 1
    out, err = capsys.readouterr()
    assert "closest" in out
    assert "2 settings tried on the first 70% of the time; none kept the promise there." in out
    assert "none of 2 settings keeps 'max wait <= 0s' with 95% confidence; the closest, max_workers=" in err
    assert "on the first part" in err


def test_settings_none_of_which_can_run_are_exit_code_one(trace, capsys):
    space = Space(BASE | {"min_workers": 0}, [axis("max_workers", 0)], candidate_of)
    assert run_recommend(Frame(trace, seed=1, jobs=1), Question(SLO), plan(space)) == 1
    assert "none could run: the maximum is 0 workers" in capsys.readouterr().err


def test_wrong_usage_is_exit_code_two(trace, capsys):
    assert run_recommend(Frame(trace, seed=1, jobs=1), Question(SLO, split=2.0), plan()) == 2
    assert "split: expected a number between 0 and 1, got 2" in capsys.readouterr().err
    with pytest.raises(ValueError, match="confidence: expected a number between 0 and 1, got 95"):
        Question(SLO, confidence=95.0)
