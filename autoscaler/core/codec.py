"""Frozen values to JSON values and back, by their fields and annotations.

Only what the model and the state are made of: dataclasses, tuples, frozen sets, numpy columns,
enumerations, plain numbers and strings, and a policy's memory, which pydantic handles by its type.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from math import isfinite
from reprlib import Repr
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
from pydantic import TypeAdapter, ValidationError

from autoscaler.core.state import Ownership, Removal, Returning, State
from policies.history import COLUMNS, History
from policies.model import Applied, FloatArray, IntArray, Observation, Refused, Unknown

OUTCOMES: dict[str, type[Any]] = {"applied": Applied, "refused": Refused, "unknown": Unknown}
"""Two outcomes have the same fields, so each says which one it is."""
_OUTCOME_NAMES = {cls: name for name, cls in OUTCOMES.items()}
_NUMBER_WORDS = frozenset({"nan", "inf", "-inf"})
_EXPECTED = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}
_ACCEPTED: dict[Any, set[type[Any]]] = {float: {float, int}, int: {int}, str: {str}, bool: {bool}}


LARGEST = 2**63 - 1
MOST_BOUND = 1_000_000
"""Rows of a history, for which room is made before there are any: eleven days of looks a second apart."""

_SHOWN = Repr()  # looks into a value no deeper and no further than it is shown
_SHOWN.maxstring = _SHOWN.maxother = _SHOWN.maxlong = 60


class MisfitError(ValueError):
    """A JSON value that is none of the expected type; names the place, in one line."""

    def __init__(self, place: str, expected: str, got: Any) -> None:
        # Names of fields come from the file, too: each is shown, and no terminal obeys it.
        where = _cut("".join(each if each.isprintable() else "?" for each in place), 200)
        shown = _cut(_SHOWN.repr(got), 60)
        super().__init__(f"{where}: expected {expected}, got {shown}" if place else f"expected {expected}")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."


def to_json(value: Any, memory_type: Any = Any) -> Any:
    """`value` as JSON values.  `memory_type`: of the `memory` inside a `State`."""
    match value:
        case State() | Ownership() | Removal() | Returning():
            return _fields_to_json(value, memory_type)
        case Enum():
            return value.value
        case None | str() | bool() | int():
            return value
        case float():
            return value if isfinite(value) else str(value)
        case tuple() | list():
            return [to_json(item) for item in value]
        case frozenset():
            return sorted(value)
        case dict():
            return {key: to_json(item) for key, item in value.items()}
        case np.ndarray() | np.generic():
            return to_json(value.tolist())
    return _fields_to_json(value, memory_type)


def _fields_to_json(value: Any, memory_type: Any) -> dict[str, Any]:
    if isinstance(value, History):
        return _history_to_json(value)
    plain = {name: getattr(value, name) for name in _types(value.__class__)}
    if isinstance(value, State):
        plain["memory"] = _adapter(memory_type).dump_python(value.memory, mode="json")
    elif (outcome := _OUTCOME_NAMES.get(type(value))) is not None:
        plain = {"outcome": outcome} | plain
    return {name: to_json(item) for name, item in plain.items()}


def from_json(document: Any, shape: Any, place: str = "") -> Any:
    """The value of type `shape` that `document` stands for.  Raises `MisfitError`.

    The memory inside a `State` stays as JSON has it: see `with_memory`.
    """
    origin = get_origin(shape)
    if shape in {FloatArray, IntArray}:
        return _array(document, shape, place)
    if origin in {Union, UnionType}:
        return _one_of(document, get_args(shape), place)
    if origin is tuple:
        return _tuple(document, get_args(shape), place)
    if origin is frozenset:
        return frozenset(_items(document, str, place))
    if shape is History:
        return _history_from_json(document, place)
    if is_dataclass(shape) or shape in {State, Ownership, Removal, Returning}:
        return _fields_from_json(document, shape, place)
    return _plain(document, shape, place)


def with_memory(state: State, memory_type: Any, place: str) -> State:
    """The state with its memory as the policy's own type.  Raises `MisfitError`."""
    try:
        return state._replace(memory=_adapter(memory_type).validate_python(state.memory))
    except ValidationError as error:
        first = error.errors()[0]
        inner = ".".join([place, "memory", *(str(part) for part in first["loc"])])
        raise MisfitError(inner, f"a policy's memory ({first['msg']})", first["input"]) from None


def _plain(document: Any, shape: Any, place: str) -> Any:
    if shape is float and isinstance(document, str) and document in _NUMBER_WORDS:
        return float(document)
    if isinstance(shape, type) and issubclass(shape, Enum):
        try:
            return shape(document)
        except ValueError:
            raise MisfitError(place, f"a {shape.__name__}", document) from None
    if shape in _EXPECTED and type(document) not in _ACCEPTED[shape]:
        raise MisfitError(place, _EXPECTED[shape], document)
    if type(document) is int and not -LARGEST <= document <= LARGEST:
        raise MisfitError(place, "a number that 64 bits hold", document)
    return document


def _tuple(document: Any, shapes: tuple[Any, ...], place: str) -> tuple[Any, ...]:
    if Ellipsis in shapes:
        return tuple(_items(document, shapes[0], place))
    if not isinstance(document, list) or len(document) != len(shapes):
        raise MisfitError(place, f"a list of {len(shapes)}", document)
    return tuple(
        from_json(item, shape, f"{place}[{number}]")
        for number, (item, shape) in enumerate(zip(document, shapes, strict=True))
    )


def _items(document: Any, shape: Any, place: str) -> list[Any]:
    if not isinstance(document, list):
        raise MisfitError(place, "a list", document)
    return [from_json(item, shape, f"{place}[{number}]") for number, item in enumerate(document)]


def _array(document: Any, shape: Any, place: str) -> Any:
    whole = shape == IntArray
    values = _items(document, int if whole else float, place)
    return np.array(values, dtype=np.int64 if whole else np.float64)


def _one_of(document: Any, shapes: tuple[Any, ...], place: str) -> Any:
    """By what tells them apart: null, an `outcome`, or a field that only one of them has."""
    if document is None and NoneType in shapes:
        return None
    candidates = [shape for shape in shapes if shape is not NoneType]
    if isinstance(document, dict):
        if Applied in candidates:
            outcome = OUTCOMES.get(str(document.get("outcome")))
            if outcome is None:
                raise MisfitError(
                    f"{place}.outcome", " or ".join(map(repr, OUTCOMES)), document.get("outcome")
                )
            rest = {name: value for name, value in document.items() if name != "outcome"}
            return from_json(rest, outcome, place)
        if len(candidates) > 1:
            candidates.sort(key=lambda shape: len(set(document) ^ set(_types(shape))))
    return from_json(document, candidates[0], place)


def _fields_from_json(document: Any, shape: Any, place: str) -> Any:
    if not isinstance(document, dict):
        raise MisfitError(place, "an object", document)
    types = _types(shape)
    inside = f"{place}." if place else ""
    if unknown := sorted(set(document) - set(types)):
        raise MisfitError(f"{inside}{unknown[0]}", "no such field", document[unknown[0]])
    values = {}
    for name, kind in types.items():
        if name not in document:
            if name in _defaulted(shape):  # written by an older version, which did not know it
                continue
            raise MisfitError(f"{inside}{name}", "a value", "nothing")
        values[name] = from_json(document[name], kind, f"{inside}{name}")
    return shape(**values)


def _history_to_json(history: History) -> dict[str, Any]:
    return {
        "bound": history.bound,
        "rows": to_json(history.rows),
        "failures": list(history.failures),
        "latest": to_json(history.latest),
    }


def _history_from_json(document: Any, place: str) -> History:
    if not isinstance(document, dict) or set(document) != {"bound", "rows", "failures", "latest"}:
        raise MisfitError(place, "an object of bound, rows, failures and latest", document)
    rows = _items(document["rows"], tuple[float, ...], f"{place}.rows")
    failures = _items(document["failures"], str, f"{place}.failures")
    if len(failures) != len(rows) or any(len(row) != len(COLUMNS) for row in rows):
        raise MisfitError(
            f"{place}.rows", f"{len(failures)} rows of {len(COLUMNS)} numbers", document["rows"]
        )
    bound = from_json(document["bound"], int, f"{place}.bound")
    if not 1 <= bound <= MOST_BOUND:
        raise MisfitError(f"{place}.bound", f"1 to {MOST_BOUND}", bound)
    latest = from_json(document["latest"], Observation | None, f"{place}.latest")
    table = np.array(rows, dtype=np.float64).reshape(-1, len(COLUMNS))
    return History(bound).restored(table, failures, latest)


@cache
def _types(shape: Hashable) -> dict[str, Any]:
    """The fields of a frozen value with their types."""
    frozen: Any = shape
    hints = get_type_hints(frozen)
    names = [field.name for field in fields(frozen)] if is_dataclass(frozen) else frozen._fields
    return {name: hints[name] for name in names}


@cache
def _defaulted(shape: Hashable) -> frozenset[str]:
    """The fields of a frozen value that may be left out."""
    frozen: Any = shape
    if is_dataclass(frozen):
        return frozenset(field.name for field in fields(frozen) if field.default is not MISSING)
    return frozenset(frozen._field_defaults)


@cache
def _adapter(memory_type: Any) -> TypeAdapter[Any]:
    return TypeAdapter(memory_type)
