"""A trace in two parts, for other processes: its columns, and the little that is left."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulations.trace import Trace, is_constant

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Rest:
    """What is no column: names, and columns of one value alone."""

    pickled: bytes
    """The trace without its columns, their place taken by their value where they have but one."""
    constant: tuple[str, ...]
    """Which these are."""
    tasks: int


def packed(trace: Trace) -> tuple[dict[str, NDArray[Any]], Rest]:
    """The columns that differ from row to row, and the rest.

    Keys stay behind: they are only what errors call a task, and there a row's number does.
    """
    columns = {field.name: getattr(trace, field.name) for field in fields(trace)}
    # An empty file cannot be mapped, so what is empty stays with the rest.
    arrays = [name for name, column in columns.items() if isinstance(column, np.ndarray) and column.size]
    constant = {name: columns[name][0] for name in arrays if is_constant(columns[name])}
    sent = {name: columns[name] for name in arrays if name not in constant}
    rest: dict[str, Any] = {**dict.fromkeys(sent), **constant, "keys": range(1, len(trace) + 1)}
    return sent, Rest(pickle.dumps(replace(trace, **rest)), tuple(constant), len(trace))


def unpacked(columns: Columns, rest: Rest) -> Trace:
    """The trace, with the columns as they are given: the compiled kernel wants plain, writable arrays."""
    trace: Trace = pickle.loads(rest.pickled)  # noqa: S301 - our own
    constant = {name: np.broadcast_to(getattr(trace, name), rest.tasks) for name in rest.constant}
    return replace(trace, **dict[str, Any](columns), **constant)
