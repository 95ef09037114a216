"""What a search varies: `slots=4,8,16`, `idle_seconds=60..600`; all combinations, or some by lot."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

MOST_SETTINGS = 100_000
"""More combinations than that are a slip of the pen."""
DRAWS_PER_WANTED = 100
"""How often the lot is drawn for each wanted setting before the choice counts as exhausted."""

Place = tuple[str, ...]
"""Where in a nested table a value belongs."""
Point = tuple[tuple[str, Place, Any], ...]
"""One choice: (name, place, value) of each thing varied."""


class VaryError(ValueError):
    """A variation that cannot be understood; says what was expected."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that varies."""

    name: str
    place: Place
    values: tuple[Any, ...] = ()
    """The choices; of a range its two ends."""
    is_range: bool = False

    def drawn(self, generator: np.random.Generator) -> Any:
        """One value by lot; of a range whole if both ends are."""
        if not self.is_range:
            return self.values[int(generator.integers(len(self.values)))]
        low, high = self.values
        if isinstance(low, int) and isinstance(high, int):
            return int(generator.integers(low, high + 1))
        return float(np.round(generator.uniform(low, high), 6))


def parse(text: str, place_of: Callable[[str], Place]) -> Axis:
    """The axis that `name=value,value` or `name=low..high` describes.

    `place_of` knows the names, and raises `VaryError` for others.
    """
    name, equals, given = (part.strip() for part in text.partition("="))
    if not (name and equals and given):
        raise VaryError(f"vary: expected name=value,value or name=low..high, got {text!r}")
    place = place_of(name)
    low, dots, high = given.partition("..")
    if dots and "," not in given:
        return Axis(name, place, _ends(text, low, high), is_range=True)
    values = tuple(_values(given))
    if any(value in values[:number] for number, value in enumerate(values)):
        raise VaryError(f"vary: {name} names a value twice: {given}")
    if "" in values:
        raise VaryError(f"vary: {name} has an empty value: {given}")
    return Axis(name, place, values)


def _ends(text: str, low: str, high: str) -> tuple[Any, ...]:
    ends = (_value(low.strip()), _value(high.strip()))
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
        raise VaryError(f"vary: a range goes from one number to another, got {text!r}")
    if ends[0] >= ends[1]:
        raise VaryError(f"vary: a range goes from the smaller to the larger number, got {text!r}")
    return ends


def _values(given: str) -> list[Any]:
    """As TOML has it; words need no quotes."""
    try:
        listed: list[Any] = tomllib.loads(f"v = [{given}]")["v"]
    except tomllib.TOMLDecodeError:
        return [_value(each.strip()) for each in given.split(",")]
    return listed


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def grid(axes: Sequence[Axis]) -> list[Point]:
    """Every combination.  Raises `VaryError` for ranges and for absurdly many."""
    _check_names(axes)
    for axis in axes:
        if axis.is_range:
            low, high = axis.values
            raise VaryError(
                f"vary: {axis.name}={low}..{high} is a range: list its values, or draw from it with --random"
            )
    if (count := prod(len(axis.values) for axis in axes)) > MOST_SETTINGS:
        raise VaryError(f"vary: {count:,} combinations are too many; try --random 1000")
    choices = product(*(axis.values for axis in axes))
    return [_point(axes, choice) for choice in choices]


def drawn(axes: Sequence[Axis], count: int, seed: int) -> list[Point]:
    """`count` different combinations by lot, or all there are; the same seed draws the same."""
    _check_names(axes)
    if count < 1:
        raise VaryError(f"random: expected at least 1, got {count}")
    generator = np.random.default_rng(seed)
    points: list[Point] = []
    for _ in range(min(count, MOST_SETTINGS) * DRAWS_PER_WANTED):
        point = _point(axes, [axis.drawn(generator) for axis in axes])
        if point not in points:
            points.append(point)
        if len(points) == count:
            break
    return points


def _check_names(axes: Sequence[Axis]) -> None:
    places = [axis.place for axis in axes]
    for number, axis in enumerate(axes):
        if axis.place in places[:number]:
            raise VaryError(f"vary: {axis.name} is varied twice; give all its values at once")


def _point(axes: Sequence[Axis], choice: Sequence[Any]) -> Point:
    return tuple((axis.name, axis.place, value) for axis, value in zip(axes, choice, strict=True))


def applied(base: Mapping[str, Any], point: Point) -> dict[str, Any]:
    """The table with the point's values in their places; a whole policy before its fields."""
    table: dict[str, Any] = copy.deepcopy(dict(base))
    for _, place, value in sorted(point, key=lambda each: len(each[1])):
        inner = table
        for step in place[:-1]:
            inner = inner.setdefault(step, {})
        inner[place[-1]] = copy.deepcopy(value)
    return table


def label(point: Point) -> str:
    """`slots=4 idle_seconds=60`."""
    return " ".join(f"{name}={_shown(value)}" for name, _, value in point)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("name", dict(value)))
    return f"{value:g}" if isinstance(value, float) else str(value)


def varied(point: Point) -> Iterator[tuple[str, str]]:
    """(name, value) for a table."""
    return ((name, _shown(value)) for name, _, value in point)
