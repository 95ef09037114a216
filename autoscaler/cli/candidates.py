"""What a comparison plays, in the daemon's own words: a candidate is a target's table of the configuration.

So every setting of the daemon can be compared and varied, is checked as the daemon would check it, and
what comes out can be pasted into the daemon's file.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from autoscaler.cli.common import EXIT_USAGE, fail, load_settings
from autoscaler.controllers import controller_of
from autoscaler.settings import Guards, Mode, Settings, Target
from policies.catalog import PolicyError, find
from policies.mwaa import ENVIRONMENT_CLASSES
from simulations.candidate import Candidate
from simulations.price import parse
from simulations.recommend import less
from simulations.vary import VaryError

SHORT_NAMES = {
    "slots": "slots_per_worker",
    "min": "min_workers",
    "max": "max_workers",
    "tick": "interval_seconds",
}
TARGET_NAMES = (*SHORT_NAMES.values(), "policy", "demand_max_age_seconds")
NOWHERE = {"cluster": "-", "service": "-"}
"""Where the workers run does not matter to a simulation."""
MWAA_MOST_WORKERS = 25
"""The console's limit; a larger environment needs a raised quota."""
MWAA_TICK_SECONDS = 60.0
"""How often MWAA decides is not documented; its metrics have this period."""


class SettingError(ValueError):
    """A setting that the daemon would refuse."""


def candidate_of(setting: Mapping[str, Any], label: str) -> Candidate:
    """The candidate that a target's table and a `price` describe.  Raises `SettingError`, `PriceError`."""
    table = {name: value for name, value in setting.items() if name != "price"}
    if isinstance(table.get("policy"), str):
        table["policy"] = {"name": table["policy"]}
    try:
        target = Target.model_validate({**NOWHERE, **table})
    except ValidationError as error:
        raise SettingError(f"{label}: {_complaint(error)}") from None
    # Built without the environment and the other sections: nothing is read or written.
    settings = Settings.model_construct(mode=Mode.ACT, targets={"default": target})
    price = parse(str(setting["price"]))
    whole = {"price": str(setting["price"]), **table}
    return Candidate(
        label, whole, controller_of(target, settings), target.slots, target.interval_seconds, price
    )


def _complaint(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    place = ".".join(str(part) for part in first["loc"])
    if not place:
        return message
    return f"{place} = {first['input']!r}: {message[0].lower()}{message[1:]}"


def setting_in(text: str) -> dict[str, Any] | None:
    """The target's table in `FILE.toml[:TARGET]`; None: the text names no such file.

    Ends the command if the file is wrong.
    """
    name, colon, target = text.rpartition(":")
    path, target = (name, target) if colon and name.endswith(".toml") else (text, "")
    if not path.endswith(".toml"):
        return None
    settings = load_settings(Path(path))
    if not target and len(settings.targets) == 1:
        target = next(iter(settings.targets))
    target = target or "default"
    if target not in settings.targets:
        fail(f"{path}: there is no target {target!r}; it has {', '.join(settings.targets)}", EXIT_USAGE)
    return settings.targets[target].model_dump(mode="json", exclude_unset=True)


def setting_of(text: str, base: Mapping[str, Any]) -> dict[str, Any]:
    """What one argument of `compare` means: a policy's name or table, a target's table, or a file.

    A policy joins the base; a target's table overrides it; a file stands alone but for the price.
    Raises `SettingError`.
    """
    if (configured := setting_in(text)) is not None:
        return {"price": base["price"], "policy": {"name": "mwaa"}, **configured}
    if not text.lstrip().startswith("{"):
        return {**base, "policy": {"name": text}}
    try:
        table: dict[str, Any] = tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{text}: not a TOML table: {error}") from None
    return {**base, "policy": table} if "name" in table else {**base, "policy": {"name": "mwaa"}, **table}


def place_in(base: Mapping[str, Any]) -> Callable[[str], tuple[str, ...]]:
    """Where the names of `--vary` belong, given the base's policy."""
    policy_fields = _policy_fields(base.get("policy", {"name": "mwaa"}))
    places: dict[str, tuple[str, ...]] = {name: (name,) for name in (*TARGET_NAMES, "price")}
    places |= {short: (name,) for short, name in SHORT_NAMES.items()}
    places |= {name: ("guards", name) for name in Guards.model_fields}
    for name in policy_fields:
        places.setdefault(name, ("policy", name))

    def place_of(name: str) -> tuple[str, ...]:
        section, dot, field = name.partition(".")
        if dot and (section == "policy" or (section == "guards" and field in Guards.model_fields)):
            return section, field
        if name in places:
            return places[name]
        close = get_close_matches(name, places, n=1)
        hint = f"; did you mean {close[0]}?" if close else f"; it can be {', '.join(sorted(places))}"
        raise VaryError(f"vary: {name} is not a setting{hint}")

    return place_of


def _policy_fields(policy: Mapping[str, Any]) -> list[str]:
    try:
        cls = find(str(policy.get("name")))
    except PolicyError as error:
        raise SettingError(str(error)) from None
    fields = [field.name for field in dataclasses.fields(cls) if field.init]
    return [*fields, "environment_class"] if policy.get("name") == "mwaa" else fields


def less_of(candidate: Candidate) -> list[Candidate]:
    """The same with fewer workers at least, with fewer at most, and with fewer slots a worker."""
    controller = candidate.controller
    bounds = controller.guards.bounds
    poorer = {
        "min_workers": (bounds.minimum, less(bounds.minimum)),
        "max_workers": (bounds.maximum, max(1, bounds.minimum, less(bounds.maximum))),
        "slots_per_worker": (candidate.slots, max(1, less(candidate.slots))),
    }
    return [
        candidate_of({**candidate.setting, name: new}, f"{name} {old} -> {new}")
        for name, (old, new) in poorer.items()
        if new < old
    ]


def mwaa_classes() -> list[Candidate]:
    """Amazon MWAA in each environment class, with as many workers as the console allows."""
    return [
        candidate_of(
            {
                "price": name,
                "policy": {"name": "mwaa", "environment_class": name},
                "max_workers": MWAA_MOST_WORKERS if preset.autoscales else preset.maximum,
                "interval_seconds": MWAA_TICK_SECONDS,
            },
            f"{name}, {preset.slots_per_worker} slots, at most "
            f"{MWAA_MOST_WORKERS if preset.autoscales else preset.maximum} workers",
        )
        for name, preset in ENVIRONMENT_CLASSES.items()
    ]
