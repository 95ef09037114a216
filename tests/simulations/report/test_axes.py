"""Lines and labels of axes."""

from __future__ import annotations

import numpy as np
import pytest

from simulations.report import axes
from simulations.trace import MONDAY
from simulations.words import amount, count, instant, share, span, usd

DAY = 86_400.0


@pytest.mark.parametrize(
    ("top", "labels"),
    [
        (0.0, []),
        (1.0, ["0.5", "1.0"]),
        (4.3, ["2", "4"]),
        (10.8, ["5", "10"]),
        (1620.0, ["500", "1,000", "1,500"]),
        (0.003, ["0.001", "0.002", "0.003"]),
    ],
)
def test_numbers_are_round_and_few(top, labels):
    assert [label for _, label in axes.linear(top)] == labels


@pytest.mark.parametrize("length", [1.0, 90.0, 3600.0, 7 * 3600.0, DAY, 9 * DAY, 400 * DAY, 1e9])
def test_instants_are_round_few_and_inside(length):
    """Whatever the length and wherever it begins."""
    start = MONDAY + 12_345.678
    ticks = axes.time(start, start + length)
    assert len(ticks) <= 9
    assert all(start <= at <= start + length for at, _ in ticks)
    if length >= 90:
        assert ticks


def test_midnights_are_called_by_their_day():
    assert [label for _, label in axes.time(MONDAY + 3600, MONDAY + 30 * 3600)] == [
        "06:00", "12:00", "18:00", "2 Jan", "06:00",
    ]  # fmt: skip
    assert [label for _, label in axes.time(MONDAY, MONDAY + 3.5 * DAY, most=4)] == [
        "1 Jan", "2 Jan", "3 Jan", "4 Jan",
    ]  # fmt: skip
    assert axes.time(MONDAY + 1, MONDAY + 3)[0][1] == "00:00:01"


def test_a_second_a_minute_and_an_hour_have_their_place_on_the_axis_of_waits():
    """Zero is zero, and the order is kept."""
    places = axes.log_wait(np.array([0.0, 1.0, 60.0, 3600.0]))
    assert places[0] == 0
    assert (np.diff(places) > 0.3).all()
    assert [label for _, label in axes.waits(700.0)] == ["1 s", "10 s", "1 min", "10 min"]


def test_numbers_in_words():
    """As a person says them."""
    assert [span(each) for each in (0.04, 119, 120, 7200, 200_000)] == [
        "0.0 s", "119.0 s", "2.0 min", "2.0 h", "2.3 d",
    ]  # fmt: skip
    assert [amount(each) for each in (0, 3.14159, 12, 1234.6, float("nan"))] == [
        "0", "3.14", "12", "1,235", "unknown",
    ]  # fmt: skip
    assert [usd(each) for each in (0, 12.345, 1234.5)] == ["$0.00", "$12.35", "$1,234"]
    assert [share(*each) for each in ((0, 5), (5, 5), (1, 3), (1, 10_000), (1, 0))] == [
        "0 %", "100 %", "33.3 %", "< 0.1 %", "0 %",
    ]  # fmt: skip
    assert [count(1, "task"), count(2000, "task"), count(2, "dependency", "dependencies")] == [
        "1 task", "2,000 tasks", "2 dependencies",
    ]  # fmt: skip
    assert instant(MONDAY + 61) == "Mon 1 Jan 2024 00:01:01"
