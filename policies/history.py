"""A bounded window of past observations with numpy columns.

A history is a frozen view over a shared append-only buffer: appending to the newest view is O(1)
(amortised: a full buffer moves its newer half to a fresh one), appending to an older view copies.
So two futures of one past never see each other, and nothing is ever changed under a reader.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from policies.model import Capacity, Demand, FloatArray, Observation, Unavailable

COLUMNS = ("at", "queued", "running", "oldest_wait", "scheduled", "desired", "pending", "ready")
_NUMBER = {name: number for number, name in enumerate(COLUMNS)}
_NAN = float("nan")
_UNREAD = (_NAN, _NAN, _NAN, _NAN)


class _Buffer:
    """Rows written once and never again; `used` rows hold something."""

    __slots__ = ("failures", "rows", "used")

    def __init__(self, size: int) -> None:
        self.rows = np.full((size, len(COLUMNS)), _NAN)
        self.failures: list[str] = []
        self.used = 0


class History:
    """The last `bound` observations, oldest first.  A failed reading is a row of NaN with its reason."""

    __slots__ = ("_buffer", "_start", "_stop", "bound", "latest")

    def __init__(self, bound: int = 1024) -> None:
        if bound < 1:
            raise ValueError(f"bound must be at least 1, got {bound}")
        self.bound = bound
        self.latest: Observation | None = None
        self._buffer = _Buffer(2 * bound)
        self._start = 0
        self._stop = 0

    def __len__(self) -> int:
        return self._stop - self._start

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, History)
            and self.bound == other.bound
            and self.latest == other.latest
            and self.failures == other.failures
            and np.array_equal(self.rows, other.rows, equal_nan=True)
        )

    __hash__ = None  # type: ignore[assignment]  # a value with arrays inside, never a key

    @property
    def rows(self) -> FloatArray:
        """All rows, shape (len, len(COLUMNS)), read-only."""
        rows: FloatArray = self._buffer.rows[self._start : self._stop]
        rows.flags.writeable = False
        return rows

    @property
    def failures(self) -> Sequence[str]:
        """A row each: why the load could not be read; empty where it could."""
        return self._buffer.failures[self._start : self._stop]

    def column(self, name: str, seconds: float | None = None) -> FloatArray:
        """One column (see `COLUMNS`), oldest first, read-only; only rows younger than `seconds` if given."""
        rows = self.rows
        if seconds is not None and len(rows):
            rows = rows[np.searchsorted(rows[:, 0], rows[-1, 0] - seconds, side="right") :]
        column: FloatArray = rows[:, _NUMBER[name]]
        return column

    def load(self, seconds: float | None = None) -> FloatArray:
        """Queued + running, a row each; NaN where it could not be read."""
        total: FloatArray = self.column("queued", seconds) + self.column("running", seconds)
        return total

    def peak_load(self, seconds: float) -> float:
        """The largest load younger than `seconds`; NaN if none was read."""
        load = self.load(seconds)
        load = load[~np.isnan(load)]
        return float(load.max()) if len(load) else _NAN

    def append(self, observation: Observation) -> History:
        """A history with one observation more, and the oldest dropped if it is full."""
        buffer, start, stop = self._buffer, self._start, self._stop
        if buffer.used != stop or stop == len(buffer.rows):
            buffer, start, stop = self._moved()
        buffer.rows[stop] = _row(observation)
        demand = observation.demand
        buffer.failures.append(demand.why if isinstance(demand, Unavailable) else "")
        buffer.used = stop + 1
        return self._view(buffer, max(start, stop + 1 - self.bound), stop + 1, observation)

    def restored(self, rows: FloatArray, failures: Sequence[str], latest: Observation | None) -> History:
        """A history with these rows, as saved earlier; the newest `bound` stay."""
        rows, failures = rows[-self.bound :], failures[-self.bound :]
        buffer = _Buffer(2 * self.bound)
        buffer.rows[: len(rows)] = rows
        buffer.failures = list(failures)
        buffer.used = len(rows)
        return self._view(buffer, 0, len(rows), latest)

    def _moved(self) -> tuple[_Buffer, int, int]:
        kept = min(len(self), self.bound - 1)
        buffer = _Buffer(2 * self.bound)
        buffer.rows[:kept] = self._buffer.rows[self._stop - kept : self._stop]
        buffer.failures = self._buffer.failures[self._stop - kept : self._stop]
        return buffer, 0, kept

    def _view(self, buffer: _Buffer, start: int, stop: int, latest: Observation | None) -> History:
        view = object.__new__(History)
        view.bound, view.latest = self.bound, latest
        view._buffer, view._start, view._stop = buffer, start, stop
        return view


def _row(observation: Observation) -> tuple[float, ...]:
    demand, capacity = observation.demand, observation.capacity
    desired = pending = ready = _NAN
    if isinstance(capacity, Capacity):
        desired, pending, ready = capacity.desired, capacity.pending, capacity.running
    if not isinstance(demand, Demand):
        return (observation.at, *_UNREAD, desired, pending, ready)
    return (
        observation.at,
        demand.queued,
        demand.running,
        demand.oldest_wait_seconds,
        demand.scheduled,
        desired,
        pending,
        ready,
    )
