"""What a simulated world is like: a version of Airflow, and a `world.toml`."""

from __future__ import annotations

import hashlib
import reprlib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from math import inf
from pathlib import Path
from typing import Any, Final, TypeVar

from autoscaler.core.plain import OneLineError
from simulations.airflow import VERSIONS, Airflow
from simulations.airflow_file import airflow_of
from simulations.content import MOST_TOML_BYTES, content_of
from simulations.launches_file import measured_launches
from simulations.quantiles import NONE, Quantiles, constant, measured
from simulations.service import AccountModel, LaunchDelay, Pace, ServiceModel, fargate
from simulations.source import DATABASE, SourceModel

_Built = TypeVar("_Built")
DEFAULT_VERSION: Final = "3.3"
SECTIONS: Final = ("airflow", "service", "source")
SERVICE_NUMBERS: Final = (
    *("stop_timeout_seconds", "exit_seconds", "before_pull_seconds", "protection_seconds"),
    *("never_start_share", "give_up_seconds", "reclaims_per_hour", "retirements_per_hour"),
)
SERVICE_KEYS: Final = (
    *("launch", "launches_per_minute", "account_launches_per_second", "account_workers"),
    *("pending_leave_first", *SERVICE_NUMBERS),
)
SOURCE_KEYS: Final = ("period_seconds", "lag_seconds", "loss")
RETRY_SECONDS: Final = 600.0
"""Of a lost task, where a plain queue says nothing of it: Airflow's heartbeat timeout and retry delay."""


class WorldError(OneLineError, ValueError):
    """A world that cannot be; one line names file, key and what was expected."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A world but for its load, its targets and its seed."""

    version: str
    """The Airflow that is played, as users call it."""
    airflow: Airflow
    service: ServiceModel
    """Its slots per worker give way to each target's."""
    source: SourceModel = DATABASE

    @property
    def fingerprint(self) -> str:
        """Equal for equal worlds."""
        parts = repr((self.airflow, self.service, self.source))
        return hashlib.sha256(parts.encode()).hexdigest()[:12]

    def service_of(self, slots: int) -> ServiceModel:
        """The service with workers of so many slots.  Raises `ValueError`."""
        return replace(self.service, slots_per_worker=slots)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a command line says of the world; None: the file or the default does."""

    world: Path | None = None
    airflow: str | None = None
    """`3.3`, `2.11` or `plain`."""
    launch: float | None = None
    launch_spread: float | None = None
    slot_tail: float | None = None
    retry_delay: float | None = None
    """Seconds until a task lost with its worker is queued again."""


def scene_of(wanted: Wanted) -> Scene:
    """The world that is wanted.  Raises `WorldError`."""
    file = {} if wanted.world is None else _read(wanted.world)
    place = "" if wanted.world is None else f"{wanted.world}: "
    table = dict(file.get("airflow", {}))
    version = str(table.pop("version", DEFAULT_VERSION)) if wanted.airflow is None else wanted.airflow
    if version not in VERSIONS:
        expected = ", ".join(name for name in VERSIONS if "." in name or name == "plain")
        at = "--airflow" if wanted.airflow is not None else f"{place}airflow.version"
        raise WorldError(f"{at}: expected one of {expected}, got {version!r}")
    table.pop("version", None)
    plain = version == "plain"
    if plain:
        table = {"retry_delay_seconds": RETRY_SECONDS, **table}
    airflow = _within(f"{place}airflow.", lambda: airflow_of({"version": version, **table}))
    if "queued_timeout_seconds" not in table:
        # A limit like the others: a trace from elsewhere never knew it.
        airflow = replace(airflow, queued_timeout_seconds=None)
    service = _service(f"{place}service.", file.get("service", {}), wanted, plain=plain)
    source = _source(f"{place}source.", file.get("source", {}))
    return Scene(version, _overridden(airflow, wanted), service, source)


def plain_service(wanted: Wanted, slots: int) -> ServiceModel:
    """The service beside a plain queue, whose slot tail and retry delay are its own.  Raises `ValueError`."""
    tail, retry = wanted.slot_tail, wanted.retry_delay
    return ServiceModel(
        slots,
        _asked_launch(wanted) or LaunchDelay(),
        0.0 if tail is None else tail,
        RETRY_SECONDS if retry is None else retry,
    )


def _asked_launch(wanted: Wanted) -> LaunchDelay | None:
    """The command line's; None: it says nothing."""
    if wanted.launch is None and wanted.launch_spread is None:
        return None
    usual = LaunchDelay()
    median = usual.median_seconds if wanted.launch is None else wanted.launch
    return LaunchDelay(median, usual.spread if wanted.launch_spread is None else wanted.launch_spread)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        file = tomllib.loads(content_of(path, MOST_TOML_BYTES).decode())
    except OSError as error:
        raise WorldError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise WorldError(f"{path}: not a TOML file: {error}") from None
    for name, table in file.items():
        _check_known(f"{path}: ", name, SECTIONS, "section")
        if not isinstance(table, dict):
            raise WorldError(f"{path}: {name}: expected a section, [{name}], got {reprlib.repr(table)}")
    return file


def _check_known(place: str, name: str, known: tuple[str, ...], what: str) -> None:
    if name not in known:
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
        raise WorldError(f"{place}{name}: there is no such {what}; {hint}")


def _within(place: str, build: Callable[[], _Built]) -> _Built:
    """What is built; an error says where."""
    try:
        return build()
    except WorldError:
        raise
    except (ValueError, OverflowError) as error:
        raise WorldError(f"{place}{error}") from None


def _overridden(airflow: Airflow, wanted: Wanted) -> Airflow:
    if (tail := wanted.slot_tail) is not None:
        airflow = _within("--slot-tail: ", lambda: replace(airflow, slot_tail=constant(tail)))
    if (delay := wanted.retry_delay) is not None:
        noticed = replace(airflow, heartbeat_timeout_seconds=0.0)
        airflow = _within("--retry-delay: ", lambda: replace(noticed, retry_delay_seconds=delay))
    return airflow


def _service(place: str, table: Mapping[str, Any], wanted: Wanted, *, plain: bool) -> ServiceModel:
    for key in table:
        _check_known(place, key, SERVICE_KEYS, "key")
    folder = Path() if wanted.world is None else wanted.world.parent
    asked = _within("", lambda: _asked_launch(wanted))
    launch = asked or _launch(f"{place}launch", table.get("launch"), folder)
    service = ServiceModel(1, launch) if plain else fargate(1, launch)
    changes: dict[str, Any] = {key: _number(place, key, table) for key in SERVICE_NUMBERS if key in table}
    if "pending_leave_first" in table:
        changes["pending_leave_first"] = _switch(place, "pending_leave_first", table)
    if "launches_per_minute" in table:
        changes["launches"] = _pace(place, "launches_per_minute", table, service.launches, 60.0)
    changes["account"] = _account(place, table, service.account)
    return _within(f"{place[:-1]}: ", lambda: replace(service, **changes))


def _account(place: str, table: Mapping[str, Any], usual: AccountModel) -> AccountModel:
    launches, most = usual.launches, usual.most_workers
    if "account_launches_per_second" in table:
        launches = _pace(place, "account_launches_per_second", table, launches, 1.0)
    if "account_workers" in table:
        most = _number(place, "account_workers", table)
    return _within(f"{place}account_workers: ", lambda: AccountModel(most, launches))


def _pace(place: str, key: str, table: Mapping[str, Any], usual: Pace, seconds: float) -> Pace:
    """So many in so many seconds; at once as many as usual, or as many as come in that time."""
    number = _number(place, key, table)

    def pace() -> Pace:
        return Pace(number / seconds, usual.burst if usual.per_second < inf else max(1, int(number)))

    return _within(f"{place}{key}: ", pace)


def _launch(place: str, value: Any, folder: Path) -> LaunchDelay:
    """59, {median = 59, spread = 0.2}, a list of measured seconds, or the name of a file of them."""
    match value:
        case None:
            return LaunchDelay()
        case str():
            return LaunchDelay(measured=_within(f"{place}: ", lambda: measured_launches(folder / value)))
        case list():
            return LaunchDelay(measured=_seconds(place, value))
        case {"median": int() | float() as median, "spread": int() | float() as spread, **rest} if not rest:
            return _within(f"{place}: ", lambda: LaunchDelay(float(median), float(spread)))
        case int() | float() if not isinstance(value, bool):
            return _within(f"{place}: ", lambda: LaunchDelay(float(value), 0.0))
    raise WorldError(
        f"{place}: expected seconds, {{median = 59, spread = 0.2}}, a list of measured seconds, or the name "
        f"of a file of them, got {value!r}"
    )


def _source(place: str, table: Mapping[str, Any]) -> SourceModel:
    for key in table:
        _check_known(place, key, SOURCE_KEYS, "key")
    lag = table.get("lag_seconds")
    if lag is None:
        delay = NONE
    elif isinstance(lag, list):
        delay = _seconds(f"{place}lag_seconds", lag)
    else:
        delay = _within(f"{place}lag_seconds: ", lambda: constant(_number(place, "lag_seconds", table)))
    period, loss = (_number(place, key, table) if key in table else 0.0 for key in ("period_seconds", "loss"))
    return _within(place.removesuffix("source."), lambda: SourceModel(period, delay, loss))


def _seconds(place: str, values: list[Any]) -> Quantiles:
    if not all(isinstance(each, int | float) and not isinstance(each, bool) for each in values):
        raise WorldError(f"{place}: expected a list of seconds, got {values!r}")
    return _within(f"{place}: ", lambda: measured([float(each) for each in values]))


def _number(place: str, key: str, table: Mapping[str, Any]) -> float:
    value = table[key]
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise WorldError(f"{place}{key}: expected a number, got {value!r}")
    return _within(f"{place}{key}: ", lambda: float(value))


def _switch(place: str, key: str, table: Mapping[str, Any]) -> bool:
    value = table[key]
    if not isinstance(value, bool):
        raise WorldError(f"{place}{key}: expected true or false, got {value!r}")
    return value
