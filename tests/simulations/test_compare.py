"""Comparing candidates: the same luck for all, differences run by run, how certain they are."""

from __future__ import annotations

import numpy as np
import pytest

from simulations.candidate import Trial, seeds_of, tried
from simulations.compare import compare
from simulations.run import SimulationError, simulate
from simulations.service import ServiceModel
from simulations.student import confidence_not_above_zero, half_width
from tests.simulations.planning import PLAIN, bursts, candidate, study


def test_the_same_seed_is_the_same_luck_for_all():
    """The n-th launch takes as long for one candidate as for another, however differently they decide."""
    cautious = candidate(policy={"name": "mwaa", "scale_in": "continuous"}, max_workers=3)
    bold = candidate(policy={"name": "mwaa", "idle_seconds": 600}, max_workers=20)
    delays = []
    for each in (cautious, bold):
        result = simulate(bursts(), each.controller, ServiceModel(4), 7, tick_seconds=30.0)
        launched = result.created_at > result.trace.starts_at
        delays.append((result.ready_at - result.created_at)[launched])
    shared = min(map(len, delays))
    assert shared > 5
    assert len(delays[0]) != len(delays[1])
    assert (delays[0][:shared] == delays[1][:shared]).all()


def test_something_compared_with_itself_differs_by_nothing_at_all():
    """Not nearly nothing: the pairs share their luck, so the interval has no width."""
    first, second = compare(study(), [candidate("a"), candidate("b")])
    assert first.differences == {}
    assert {(each.mean, each.half_width) for each in second.differences.values()} == {(0.0, 0.0)}
    assert not any(each.certain for each in second.differences.values())


def test_pairs_with_the_same_luck_are_surer_than_strangers():
    """The interval of paired differences is narrower than that of unpaired ones."""
    here = study(runs=8)
    one, other = candidate("a", max_workers=6), candidate("b", max_workers=5)
    difference = compare(here, [one, other])[1].differences["wait_mean_seconds"]
    runs = here.outcomes([one, other])
    waits = [[run.figures["wait_mean_seconds"] for run in runs[each.key]] for each in (one, other)]
    unpaired = half_width(list(np.array(waits[1]) - np.roll(waits[0], 1)), 0.95)
    assert difference.half_width < unpaired / 2
    assert difference.certain


def test_one_run_has_no_interval():
    """A single difference says nothing of its spread."""
    row = compare(study(runs=1), [candidate("a"), candidate("b", max_workers=2)])[1]
    assert {each.half_width for each in row.differences.values()} == {None}
    assert not any(each.certain for each in row.differences.values())


def test_a_candidate_that_cannot_run_is_named():
    """With the reason that the simulation gives."""
    with pytest.raises(SimulationError, match="small: the maximum is 0 workers"):
        compare(study(), [candidate("a"), candidate("small", min_workers=0, max_workers=0)])


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1.0, float("nan")])
def test_a_confidence_lies_between_nought_and_one(confidence):
    with pytest.raises(ValueError, match="confidence: expected a number between 0 and 1"):
        compare(study(), [candidate("a")], confidence)


def test_a_run_is_the_same_wherever_and_however_often_it_is_made():
    """Seed, setting and trace say all."""
    trial = Trial(candidate(), 5, PLAIN)
    assert tried(bursts(), trial) == tried(bursts(), trial)


def test_more_runs_begin_with_the_same_seeds():
    """So that a search with more runs can use what one with fewer has found."""
    assert seeds_of(3, 10)[:4] == seeds_of(3, 4)
    assert len(set(seeds_of(3, 10))) == 10


@pytest.mark.parametrize(("seed", "runs", "message"), [(1, 0, "runs: expected"), (-1, 2, "seed: expected")])
def test_seeds_that_are_none_are_refused(seed, runs, message):
    with pytest.raises(ValueError, match=message):
        seeds_of(seed, runs)


def test_students_interval_is_the_text_books():
    """Of 1, 2, 3: t(2) = 4.303 at 95 %, so 2 +- 2.484."""
    assert half_width([1.0, 2.0, 3.0], 0.95) == pytest.approx(2.4841, abs=1e-4)
    assert half_width([5.0], 0.95) is None


def test_how_sure_a_mean_below_zero_is():
    """-2.92 = t(2) at 95 %; a mean of zero is even odds; without spread there is no doubt."""
    values = [-2.919986 / 3**0.5 + each for each in (-1.0, 0.0, 1.0)]
    assert confidence_not_above_zero(values) == pytest.approx(0.95, abs=1e-5)
    assert confidence_not_above_zero([-1.0, 0.0, 1.0]) == pytest.approx(0.5)
    assert confidence_not_above_zero([-1.0, -1.0]) == 1.0
    assert confidence_not_above_zero([0.5]) == 0.0
