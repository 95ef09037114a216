"""The history: bounded, shared without being seen to be, and never changed under a reader."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.history import COLUMNS, History
from policies.model import Capacity, Demand, Observation, Unavailable

NAN = float("nan")


def seen(at: float, queued: float = 1.0, running: float = 2.0) -> Observation:
    return Observation(at, Demand(queued, running, at), Capacity(3, 1, 2))


def of(*loads: float, bound: int = 100) -> History:
    history = History(bound)
    for number, load in enumerate(loads):
        history = history.append(seen(10.0 * number, load, 0.0))
    return history


@given(st.integers(1, 9), st.lists(st.integers(0, 99), max_size=60))
@settings(deadline=None)
def test_it_keeps_the_last_ones_in_order(bound: int, loads: list[int]):
    history = of(*loads, bound=bound)
    assert len(history) == min(bound, len(loads))
    assert history.column("queued").tolist() == loads[-bound:]
    assert len(history.failures) == len(history)


@given(st.integers(1, 6), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 99)), max_size=40))
@settings(deadline=None)
def test_two_futures_of_one_past_never_see_each_other(bound: int, appends: list[tuple[int, int]]):
    """Appending to any earlier view leaves every other view as it was."""
    views, plain = [History(bound)], [[]]
    for number, (choice, load) in enumerate(appends):
        which = choice % len(views)
        views.append(views[which].append(seen(float(number), load, 0.0)))
        plain.append([*plain[which], load][-bound:])
        for view, expected in zip(views, plain, strict=True):
            assert view.column("queued").tolist() == expected


def test_appending_moves_rows_once_in_a_bound():
    """O(1), amortised: a thousand appends copy about a thousand rows, not a thousand times a hundred."""
    history = History(100)
    kept = [history._buffer]
    for number in range(200 + 8 * 101):
        history = history.append(seen(float(number)))
        kept.append(history._buffer)
    # 200 rows fit into the first buffer; each further one begins with 99 of them.
    assert len({id(buffer) for buffer in kept}) == 9


def test_rows_are_read_only():
    history = of(1, 2)
    with pytest.raises(ValueError, match="read-only"):
        history.rows[0, 0] = 5.0
    with pytest.raises(ValueError, match="read-only"):
        history.column("queued")[0] = 5.0
    assert history.append(seen(99.0)).column("queued").tolist() == [1, 2, 1]


def test_a_failed_reading_is_a_row_of_nothing_with_its_reason():
    history = of(5).append(Observation(10.0, Unavailable("down"), Unavailable("throttled")))
    assert np.isnan(history.rows[-1, 1:]).all()
    assert list(history.failures) == ["", "down"]
    assert np.array_equal(history.load(), [5.0, NAN], equal_nan=True)


def test_the_load_is_what_waits_and_what_runs():
    assert History().append(seen(0.0, queued=4.0, running=3.0)).load().tolist() == [7.0]


def test_windows_are_strictly_younger():
    history = of(9, 1, 2, 3)
    assert history.column("queued", 20.0).tolist() == [2, 3]
    assert history.load(20.1).tolist() == [1, 2, 3]
    assert History().column("queued", 20.0).tolist() == []


def test_peaks_pass_over_what_could_not_be_read():
    history = of(4, 7).append(Observation(20.0, Unavailable("down"), Capacity(1, 0, 1)))
    assert history.peak_load(60.0) == 7
    assert np.isnan(history.peak_load(5.0))


def test_columns_are_what_was_seen():
    demand = Demand(1, 2, 0.0, oldest_wait_seconds=3, scheduled=4)
    history = History().append(Observation(0.5, demand, Capacity(5, 6, 7)))
    assert dict(zip(COLUMNS, history.rows[0].tolist(), strict=True)) == {
        "at": 0.5,
        "queued": 1,
        "running": 2,
        "oldest_wait": 3,
        "scheduled": 4,
        "desired": 5,
        "pending": 6,
        "ready": 7,
    }


def test_it_is_restored_as_it_was_saved():
    history = of(1, 2, 3, bound=2)
    again = History(2).restored(history.rows, history.failures, history.latest)
    assert again == history
    longer = again.append(seen(30.0))
    assert longer == history.append(seen(30.0))
    assert longer._buffer is again._buffer
    assert again != history.append(seen(30.0))
    assert again != "history"


def test_a_bound_below_one_is_refused():
    with pytest.raises(ValueError, match="bound must be at least 1, got 0"):
        History(0)
