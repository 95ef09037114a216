"""Names of policies: built in, from the entry point group `autoscaler.policies`, or `pkg.mod:Class`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from policies.combine import HighestOf, ScheduledFloor
from policies.mwaa import ENVIRONMENT_CLASSES, Mwaa
from policies.policy import Policy

ENTRY_POINT_GROUP = "autoscaler.policies"

BUILT_IN: Mapping[str, type[Any]] = {
    "mwaa": Mwaa,
    "highest": HighestOf,
    "scheduled-floor": ScheduledFloor,
}


class PolicyError(ValueError):
    """A policy that cannot be found or built; says which field, what was expected and what came."""


def names() -> tuple[str, ...]:
    """Every name that `find` knows without importing foreign code."""
    return tuple(sorted({*BUILT_IN, *entry_points(group=ENTRY_POINT_GROUP).names}))


def find(name: str) -> type[Any]:
    """The class behind a built-in name, an entry point or `pkg.mod:Class`.  Raises `PolicyError`."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    entry = next(iter(entry_points(group=ENTRY_POINT_GROUP, name=name)), None)
    module, colon, attribute = name.partition(":")
    if entry is None and not (module and colon and attribute):
        known = ", ".join(names())
        raise PolicyError(f"there is no policy {name!r}; expected one of {known} or 'pkg.mod:Class'")
    try:
        found = entry.load() if entry is not None else getattr(import_module(module), attribute)
    except Exception as error:
        raise PolicyError(f"policy {name!r} cannot be imported: {type(error).__name__}: {error}") from error
    return _checked(name, found)


def build(specification: Mapping[str, Any], slots_per_worker: int | None = None) -> Policy:
    """The policy that `{name = ..., field = value, ...}` describes.

    `slots_per_worker` is the target's; it fills a policy's field of that name unless it is given.
    None: the policy's own `environment_class` says it.
    For `highest`, `policies` is a list of such descriptions.  Raises `PolicyError`.
    """
    values = dict(specification)
    name = values.pop("name", None)
    if not isinstance(name, str):
        raise PolicyError("a policy needs a name, such as {name = 'mwaa'}")
    cls = find(name)
    if cls is HighestOf:
        return _highest(values, slots_per_worker)
    fields = {field.name for field in dataclasses.fields(cls) if field.init}
    if cls is Mwaa and (environment_class := values.pop("environment_class", None)) is not None:
        preset_slots = _preset_slots(environment_class)
        slots_per_worker = preset_slots if slots_per_worker is None else slots_per_worker
    if "slots_per_worker" in fields and slots_per_worker is not None:
        values.setdefault("slots_per_worker", slots_per_worker)
    if unknown := sorted(set(values) - fields):
        raise PolicyError(f"policy {name!r} has no field {unknown[0]!r}; it has {', '.join(sorted(fields))}")
    try:
        policy: Policy = _adapter(cls).validate_python(values)
    except ValidationError as error:
        raise PolicyError(f"policy {name!r}{_complaint(error)}") from None
    return policy


def _complaint(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "missing":
            return f" needs {place}"
        case "value_error":  # the policy's own words
            return f": {first['ctx']['error']}"
    return f", {place}: {first['msg']}, got {first['input']!r}"


def _highest(values: dict[str, Any], slots_per_worker: int | None) -> HighestOf:
    parts = values.pop("policies", None)
    if values:
        raise PolicyError(f"policy 'highest' has no field {min(values)!r}; it has policies")
    if (
        not isinstance(parts, list | tuple)
        or not parts
        or not all(isinstance(part, Mapping) for part in parts)
    ):
        raise PolicyError("policy 'highest' needs policies: a list such as [{name = 'mwaa'}, ...]")
    return HighestOf(tuple(build(part, slots_per_worker) for part in parts))


def _preset_slots(environment_class: object) -> int:
    if not isinstance(environment_class, str) or environment_class not in ENVIRONMENT_CLASSES:
        known = ", ".join(ENVIRONMENT_CLASSES)
        raise PolicyError(f"environment_class must be one of {known}, got {environment_class!r}")
    return ENVIRONMENT_CLASSES[environment_class].slots_per_worker


def _checked(name: str, found: Any) -> type[Any]:
    wanted = ("initial", "recommend", "monotone", "window_seconds", "memory_type")
    missing = [attribute for attribute in wanted if not hasattr(found, attribute)]
    parameters = getattr(found, "__dataclass_params__", None)
    if not isinstance(found, type) or parameters is None or not parameters.frozen or missing:
        lacks = f"; it lacks {', '.join(missing)}" if missing else ""
        raise PolicyError(f"policy {name!r} must be a frozen dataclass with a policy's methods{lacks}")
    return found


def _adapter(cls: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(with_config(ConfigDict(allow_inf_nan=False))(cls))
