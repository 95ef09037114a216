"""Distributions by their quantiles: constants, measurements, chances."""

from __future__ import annotations

import numpy as np
import pytest

from simulations.quantiles import NONE, Quantiles, chance, constant, lognormal, measured


def draws(quantiles, count=100_000):
    return quantiles.draw(np.random.default_rng(5), count)


def test_a_constant_is_always_drawn():
    """One value, or the same value several times."""
    assert set(draws(constant(2.5), 100)) == {2.5}
    assert constant(2.5).constant
    assert constant(2.5).mean == 2.5
    assert Quantiles((1.0, 1.0)).constant
    assert set(draws(NONE, 10)) == {0.0}


def test_measurements_are_their_own_distribution():
    """In any order; no draw is outside of them, and the mean is theirs but for half of the extremes."""
    found = measured([9.0, 1.0, 2.0])
    assert found.seconds == (1.0, 2.0, 9.0)
    assert found.mean == (1.5 + 5.5) / 2
    assert not found.constant
    drawn = draws(found)
    assert drawn.min() >= 1.0
    assert drawn.max() <= 9.0
    assert (drawn < 2.0).mean() == pytest.approx(0.5, abs=0.01)
    assert drawn.mean() == pytest.approx(found.mean, rel=0.01)


def test_a_chance_hits_as_often_as_it_says():
    """Nearly all draws are one of two values."""
    race = chance(0.52, 5.0)
    drawn = draws(race)
    assert (drawn == 5.0).mean() == pytest.approx(0.515, abs=0.01)
    assert (drawn == 0.0).mean() == pytest.approx(0.475, abs=0.01)
    assert drawn.mean() == pytest.approx(race.mean, rel=0.01)
    assert race.mean == pytest.approx(2.6, abs=0.01)
    assert chance(0.0, 5.0) == NONE
    assert chance(1.0, 5.0) == constant(5.0)


def test_a_lognormal_has_its_median_and_spread():
    """Nearly the formula's figures; the extremes are cut."""
    logs = np.log(draws(lognormal(59.0, 0.2)))
    assert np.exp(np.median(logs)) == pytest.approx(59.0, rel=0.01)
    assert logs.std() == pytest.approx(0.2, rel=0.05)
    assert lognormal(59.0, 0.0).constant


def test_the_same_stream_has_the_same_luck_whatever_the_distribution():
    """A task that is lucky with one setting is lucky with another."""
    one, other = draws(measured([0, 1, 5]), 50), draws(lognormal(3, 1.0), 50)
    assert np.argsort(one).tolist() == np.argsort(other).tolist()


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Quantiles(()), "at least one value"),
        (lambda: Quantiles((1.0, 0.5)), "ascending"),
        (lambda: constant(-1.0), "0 to 1e"),
        (lambda: constant(float("nan")), "got nan"),
        (lambda: measured([1.0, float("inf")]), "got inf"),
        (lambda: chance(1.5, 5.0), "0 to 1, got 1.5"),
        (lambda: lognormal(59.0, -0.1), "spread must be 0 or more"),
    ],
)
def test_nonsense_is_refused(make, complaint):
    """One line says what was expected."""
    with pytest.raises(ValueError, match=complaint):
        make()
