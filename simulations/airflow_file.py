"""The modelled Airflow from a name, or from a table of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any

from simulations.airflow import VERSIONS, Airflow, QueueOrder, WorkerChoice
from simulations.quantiles import Quantiles, chance, constant, lognormal, measured

_DISTRIBUTIONS = "a number of seconds, a list of measured seconds, {chance, seconds} or {median, spread}"
_DELAYS = ("schedule_delay", "start_delay", "first_task_penalty", "slot_tail")
_CHOICES = {"queue_order": QueueOrder, "worker_choice": WorkerChoice}
_TABLES = ("pools", "max_active_tasks", "max_active_runs")
_SWITCHES = ("by_priority", "max_active_tasks_per_run")


def airflow_of(given: str | Mapping[str, Any]) -> Airflow:
    """The Airflow of a version (`3.3`, `2.11`, `plain`), or of a table that changes one.

    The table's `version` says which (default `3.3`); its other keys are the fields of `Airflow`.
    Distributions are a number (constant), a list (measurements), `{chance = 0.5, seconds = 5}` or
    `{median = 1, spread = 0.2}`.  Raises `ValueError` with one line that begins with the key.
    """
    if isinstance(given, str):
        if given not in VERSIONS:
            raise ValueError(f"version: expected one of {', '.join(VERSIONS)}, got {given!r}")
        return VERSIONS[given]
    table = dict(given)
    base = airflow_of(str(table.pop("version", "3.3")))
    return replace(base, **{key: _value(key, value) for key, value in table.items()})


def _value(key: str, value: Any) -> Any:
    known = [each.name for each in fields(Airflow)]
    if key not in known:
        close = get_close_matches(key, ["version", *known], n=1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; known are version, {', '.join(known)}"
        raise ValueError(f"{key}: there is no such key{hint}")
    if key in _DELAYS:
        return _distribution(key, value)
    if key in _CHOICES:
        names = [each.value for each in _CHOICES[key]]
        if value not in names:
            raise ValueError(f"{key}: expected one of {', '.join(names)}, got {value!r}")
        return _CHOICES[key](value)
    if key in _SWITCHES:
        if not isinstance(value, bool):
            raise ValueError(f"{key}: expected true or false, got {value!r}")
        return value
    if isinstance(value, Mapping) and key in _TABLES:
        return {name: _number(f"{key}.{name}", each) for name, each in value.items()}
    if key == "pools":
        raise ValueError(f"{key}: expected a table of slots by pool, got {value!r}")
    return _number(key, value)


def _number(key: str, value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise ValueError(f"{key}: expected a number, got {value!r}")


def _distribution(key: str, value: Any) -> Quantiles:
    try:
        match value:
            case list():
                return measured([float(_number(key, each)) for each in value])
            case {"chance": share, "seconds": seconds, **rest} if not rest:
                return chance(_number(key, share), float(_number(key, seconds)))
            case {"median": median, "spread": spread, **rest} if not rest:
                return lognormal(float(_number(key, median)), _number(key, spread))
            case int() | float() if not isinstance(value, bool):
                return constant(float(value))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{key}: {str(error).removeprefix(f'{key}: ')}") from None
    raise ValueError(f"{key}: expected {_DISTRIBUTIONS}, got {value!r}")
