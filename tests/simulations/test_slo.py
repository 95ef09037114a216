"""Promises on waits: how they are written, kept and trusted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.slo import BATCHES, SloError, parse


@pytest.mark.parametrize(
    ("text", "limit", "strict", "share"),
    [
        ("p95 wait < 60s", 60.0, True, 0.95),
        ("P99.9 Wait<=2 min", 120.0, False, 0.999),
        ("mean wait < 1.5h", 5400.0, True, None),
        ("max wait <= 0 s", 0.0, False, 1.0),
    ],
)
def test_promises_are_written_as_people_write_them(text, limit, strict, share):
    slo = parse(text)
    assert (slo.limit_seconds, slo.strict) == (limit, strict)
    assert slo.share == pytest.approx(share) if share is not None else slo.share is None


@pytest.mark.parametrize(
    "text",
    ["", "fast", "p95 < 60s", "p95 wait > 60s", "p95 wait < 60", "p95 wait < -1s", "p95 wait < 60 parsecs",
     "median wait < 1s", "p95 wait < nan s", "p95 wait < 60s or so"],
)  # fmt: skip
def test_other_words_are_refused_with_an_example(text):
    with pytest.raises(SloError, match="slo: expected 'p95 wait < 60s': mean, max or pNN"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("p0 wait < 1s", "a percentile lies between 0 and 100"),
        ("p100 wait < 1s", "a percentile lies between 0 and 100"),
        ("p95 wait < 0s", "no wait is shorter than 0 s"),
    ],
)
def test_promises_without_sense_are_refused(text, message):
    with pytest.raises(SloError, match=message):
        parse(text)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=60),
    st.sampled_from(["p50", "p90", "p95", "mean", "max"]),
    st.sampled_from(["<", "<="]),
    st.integers(1, 12),
)
def test_the_margins_say_what_the_statistic_says(waits, statistic, sign, limit):
    """Their sum is above zero exactly when the statistic is beyond the limit."""
    slo = parse(f"{statistic} wait {sign} {limit}s")
    seconds = np.array(waits, dtype=float)
    margins = slo.margins(np.arange(len(seconds)) * 10.0, seconds)
    value = slo.value(seconds)
    within = value < limit if sign == "<" and statistic != "mean" else value <= limit + 1e-9
    assert slo.kept([tuple(margins)]) == within


def test_batches_are_spans_of_time_that_have_tasks():
    """A quiet night is no evidence; the last task belongs to the last batch; one instant is one batch."""
    slo = parse("p50 wait < 10s")
    queued = np.array([0.0, 1.0, 1000.0])
    assert slo.margins(queued, np.array([0.0, 20.0, 20.0])) == [0.0, 0.5]
    assert slo.margins(np.zeros(3), np.zeros(3)) == [-1.5]
    assert len(slo.margins(np.arange(1000.0), np.zeros(1000))) == BATCHES


def test_a_promise_kept_by_a_hair_is_no_sure_one():
    """Two histories with the same share of late tasks: spread evenly it is sure, in one lump it is not."""
    slo = parse("p90 wait < 10s")
    queued = np.arange(2000.0)
    evenly = np.where(np.arange(2000) % 20 == 0, 60.0, 0.0)
    lumped = np.where(np.arange(2000) < 100, 60.0, 0.0)
    surer, less_sure = (slo.confidence([tuple(slo.margins(queued, waits))]) for waits in (evenly, lumped))
    assert surer > 0.999
    assert 0.5 < less_sure < 0.9
    broken = np.where(np.arange(2000) % 5 == 0, 60.0, 0.0)
    assert slo.confidence([tuple(slo.margins(queued, broken))]) < 0.001


def test_a_maximum_was_kept_or_was_not():
    slo = parse("max wait < 10s")
    assert slo.confidence([(0.0, 0.0), (0.0, 0.0)]) == 1.0
    assert slo.confidence([(0.0, 0.0), (0.0, 1.0)]) == 0.0
