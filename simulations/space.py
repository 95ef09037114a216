"""Where a search looks: a base setting, what varies in it, and how a setting becomes a candidate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulations.candidate import Candidate
from simulations.vary import Axis, Point, applied, drawn, grid, label

Build = Callable[[Mapping[str, Any], str], Candidate]
"""(setting, label) -> candidate; raises `ValueError` for a setting that the daemon would refuse."""


@dataclass(frozen=True, slots=True)
class Found:
    """The candidates of a search, each with the point it stands for."""

    candidates: list[Candidate]
    points: list[Point]
    left_out: int
    """Combinations whose minimum is above their maximum."""


@dataclass(frozen=True, slots=True)
class Space:
    """A base setting and what varies in it."""

    base: Mapping[str, Any]
    axes: Sequence[Axis]
    build: Build

    def candidates(self, count: int | None, seed: int) -> Found:
        """All combinations, or `count` by lot.  Raises `ValueError` if one is refused, or none is left."""
        points = grid(self.axes) if count is None else drawn(self.axes, count, seed)
        kept, candidates, keys = [], [], set()
        left_out = 0
        for point in points:
            setting = applied(self.base, point)
            if _contradicts(setting):
                left_out += 1
                continue
            candidate = self.build(setting, label(point) or "as configured")
            if candidate.key not in keys:
                keys.add(candidate.key)
                candidates.append(candidate)
                kept.append(point)
        if not candidates:
            raise ValueError("vary: in every combination min_workers is above max_workers")
        return Found(candidates, kept, left_out)


def _contradicts(setting: Mapping[str, Any]) -> bool:
    low, high = setting.get("min_workers"), setting.get("max_workers")
    return isinstance(low, int) and isinstance(high, int) and 0 <= high < low
