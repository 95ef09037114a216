"""Reads, checks and documents the configuration; every complaint names file, key, value, expected."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource, SettingsError

from autoscaler.core.plain import OneLineError
from autoscaler.reference import fields
from autoscaler.settings import ENVIRONMENT_PREFIX, Settings
from autoscaler.small_file import MOST_CONFIGURATION_BYTES, text_in

SECRET_KEYS = frozenset({"database_url", "broker_url", "token"})


class ConfigurationError(OneLineError):
    """One line a problem, each with the place, the value, what was expected."""


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of a TOML file (none: only the environment).  Raises `ConfigurationError`."""
    values = _read(path) if path is not None else {}
    overrides = _from_environment(environ)
    merged = _merged(values, overrides)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        where = str(path) if path is not None else "the environment"
        lines = [_complaint(where, each, overrides) for each in error.errors(include_url=False)]
        raise ConfigurationError(*lines) from None


def fingerprint(settings: Settings) -> str:
    """A short hash of everything that is configured; equal settings have equal ones."""
    text = json.dumps(public(settings), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def public(settings: Settings) -> dict[str, Any]:
    """The settings as plain JSON values, with secrets masked."""
    return settings.model_dump(mode="json")


def _read(path: Path) -> dict[str, Any]:
    try:
        text = text_in(path, MOST_CONFIGURATION_BYTES)
    except FileNotFoundError:
        remedy = "write one with `autoscaler config init`"
        raise ConfigurationError(f"{path}: there is no such file; {remedy}") from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else f"not UTF-8 text: {error}"
        raise ConfigurationError(f"{path}: cannot be read: {why}") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not TOML: {error}") from None
    except (ValueError, RecursionError):
        remedy = "a number of thousands of digits, or tables nested without end"
        raise ConfigurationError(f"{path}: not a configuration: {remedy}") from None


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    mine = {key: value for key, value in environ.items() if key.upper().startswith(ENVIRONMENT_PREFIX)}
    for key in sorted(mine):
        first = key[len(ENVIRONMENT_PREFIX) :].split("__")[0].lower()
        if first not in Settings.model_fields:
            known = ", ".join(f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in Settings.model_fields)
            raise ConfigurationError(f"environment: {key} is not a setting{_hint(first)}; expected {known}")
    source = EnvSettingsSource(Settings, env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__")
    source.env_vars = {key.lower(): value for key, value in mine.items()}
    try:
        values: dict[str, Any] = source()
    except SettingsError as error:
        raise ConfigurationError(f"environment: {error}: expected JSON") from None
    except RecursionError:
        raise ConfigurationError("environment: expected JSON, got what is nested without end") from None
    return values


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            result[key] = _merged(below, value)
        else:
            result[key] = value
    return result


def _complaint(where: str, error: Any, overrides: Mapping[str, Any]) -> str:
    location = [str(part) for part in error["loc"] if part != "[key]"]
    key = repr(".".join(location))[1:-1]  # shown, but no terminal obeys it
    if location and _within(overrides, location):
        where = f"environment {ENVIRONMENT_PREFIX}{'__'.join(location).upper()}"
    message = _in_toml_words(error["msg"].removeprefix("Value error, "))
    if not location:
        return f"{where}: {message}"
    match error["type"]:
        case "missing":
            return f"{where}: {key} is missing: {_meaning(location)}"
        case "extra_forbidden":
            return f"{where}: {key} is not a setting{_hint(location[-1], location[:-1])}"
        case "value_error" if isinstance(error["input"], Mapping | BaseModel):
            return f"{where}: {key}: {message}"
    value = "a secret" if location and location[-1] in SECRET_KEYS else _short(error["input"])
    return f"{where}: {key} = {value}: {message[0].lower()}{message[1:]}"


def _in_toml_words(message: str) -> str:
    message = re.sub(r"a valid dictionary( or instance of \w+)?", "a table", message)
    message = re.sub(
        r"Dictionary should have at least 1 item.*", "it should have at least one entry", message
    )
    return message.replace("a valid tuple", "a list")


def _short(value: Any) -> str:
    # To the last @: a password may hold one, and blanks.
    text = re.sub(r"://.*@", "://***@", repr(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def _within(values: Any, location: list[str]) -> bool:
    for part in location:
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return True


def _meaning(location: list[str]) -> str:
    wanted = ".".join(_generic(location))
    meanings = [description for key, _, description in fields() if key == wanted]
    return meanings[0] if meanings else "it is required"


def _generic(location: list[str]) -> list[str]:
    return [*location[:1], "NAME", *location[2:]] if location[:1] == ["targets"] else location


def _hint(name: str, parents: list[str] | None = None) -> str:
    prefix = ".".join(_generic(parents or []))
    siblings = {
        rest.split(".")[0]
        for key, _, _ in fields()
        if key.startswith(prefix)
        for rest in [key[len(prefix) :].lstrip(".")]
    }
    close = get_close_matches(name, siblings, n=1)
    return f"; did you mean {close[0]}?" if close else ""
