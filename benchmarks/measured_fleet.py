"""Who worked in a measured run and when: a number in its name, or a timetable beside it.

`4w` in the name is four workers from before the beginning to the end.  Else a file `*-NAME.csv`, `.json` or
`.jsonl` (`workers-NAME.csv`, say) tells it in one of three forms, times in ISO, Unix seconds or seconds from
the run's zero:
- a row a worker: when it started (or was ready) and when it was told to stop;
- a row an event: time, action (start, stop, kill), worker;
- a row a size: time, number of workers.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

from benchmarks.measured_run import MeasuredRun, RunError, instant

READY = ("ready", "online", "up", "from", "consuming")
STARTED = ("start", "started", "startdate", "launched", "launch", "begin", "created")
STOPPED = ("drain", "drained", "sigterm", "term", "stop", "stopped", "end", "ended", "enddate", "until", "to")
STOPPED += ("down", "exit", "exited", "gone", "offline")
TIMES = ("time", "at", "t", "ts", "timestamp", "epoch", "offset", "seconds", "when")
ACTIONS = ("event", "action", "what", "op", "kind")
NAMES = ("worker", "hostname", "host", "name", "id", "node")
SIZES = ("workers", "count", "n", "size", "desired", "number")
COMES, KILLS = ("start", "up", "add", "launch", "ready", "online", "scale_out"), ("kill", "sigkill")


@dataclass(frozen=True)
class Shift:
    """One worker's time; seconds from the run's zero."""

    began_at: float
    told_to_stop_at: float = inf
    """It finishes what it runs and takes nothing new."""
    booted: bool = True
    """Whether `began_at` is when it was ready for work; else its process started then."""
    killed: bool = False
    """What it ran when it stopped was lost."""


def fleet_of(directory: Path, run: MeasuredRun) -> tuple[list[Shift], str]:
    """The run's workers, and where that is known from.  Raises `RunError`."""
    if found := re.fullmatch(r"(\d+)w", run.name):
        return [Shift(-inf)] * int(found[1]), "name"
    others = ("tasks-", "dagruns-", "edges-")
    for path in sorted(directory.glob(f"*[-_.]{run.name}.*")):
        if path.suffix in {".csv", ".json", ".jsonl"} and not path.name.startswith(others):
            shifts = timetable(path, run.zero)
            return shifts, path.name
    raise RunError(
        f"{directory}: who worked in run {run.name!r}?  Expected a name such as 4w, "
        f"or a timetable such as workers-{run.name}.csv with the columns worker, ready_at, stopped_at"
    )


def timetable(path: Path, zero: float) -> list[Shift]:
    """The workers of a timetable.  Raises `RunError`."""
    try:
        rows = [_named(row) for row in _records(path)]
        columns = {column for row in rows for column in row}
        if columns.intersection(TIMES) and columns.intersection(ACTIONS):
            shifts = _from_events(rows, zero)
        elif columns.intersection(TIMES) and columns.intersection(SIZES):
            shifts = _from_sizes(rows, zero)
        else:
            shifts = [_shift(row, zero) for row in rows]
    except (RunError, ValueError, TypeError, AttributeError, OSError) as error:
        raise RunError(f"{path}: {error}") from None
    if not shifts:
        raise RunError(f"{path}: names no worker")
    return shifts


def _records(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".csv":
        return list(csv.DictReader(text.splitlines()))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    read = json.loads(text)
    for key in ("workers", "timetable", "events", "fleet"):
        if isinstance(read, dict) and isinstance(read.get(key), list | dict):
            read = read[key]
    return _flat(read)


def _flat(read: Any) -> list[dict[str, Any]]:
    """The rows of nested JSON: objects, or pairs of start and stop."""
    if isinstance(read, dict):
        if any(not isinstance(value, list | dict) for value in read.values()):
            return [read]
        read = list(read.values())
    if read and not any(isinstance(each, list | dict) for each in read):
        return [dict(zip(("start", "stop"), read, strict=False))]
    return [row for each in read for row in _flat(each)]


def _named(row: dict[str, Any]) -> dict[str, Any]:
    """Columns without case, underscores and the ends that only say that it is a time."""
    named = {}
    for column, value in row.items():
        name = re.sub(r"(_at|_time|_dttm|_ts|_s|_utc|_epoch)+$", "", column.strip().lower())
        named[re.sub(r"[^a-z0-9]", "", name)] = value
    return named


def _first(row: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) not in {None, ""}), None)


def _seconds(value: Any, zero: float) -> float:
    try:
        number = float(value)
    except ValueError:
        return instant(value) - zero
    return number - zero if number > 1e8 else number


def _shift(row: dict[str, Any], zero: float) -> Shift:
    ready, started, stopped = (_first(row, names) for names in (READY, STARTED, STOPPED))
    if not row.keys() & {*READY, *STARTED, *STOPPED}:
        raise RunError(f"expected a worker's start and stop, got the columns {', '.join(row) or 'nothing'}")
    first = started if ready is None else ready
    began = -inf if first is None else _seconds(first, zero)
    return Shift(began, inf if stopped is None else _seconds(stopped, zero), booted=ready is not None)


def _from_events(rows: list[dict[str, Any]], zero: float) -> list[Shift]:
    shifts: dict[str, list[Shift]] = {}
    for at, row in sorted(((_seconds(_first(row, TIMES), zero), row) for row in rows), key=lambda it: it[0]):
        name, action = str(_first(row, NAMES)), str(_first(row, ACTIONS)).lower()
        mine = shifts.setdefault(name, [])
        here = bool(mine) and mine[-1].told_to_stop_at == inf
        if action.startswith(COMES):
            if here:  # first its process started, then it was ready
                mine.pop()
            mine.append(Shift(at, booted=action.startswith(READY)))
        elif here or not mine:  # an exit after the order to stop says nothing new
            since = mine.pop() if here else Shift(-inf)
            mine.append(replace(since, told_to_stop_at=at, killed=action.startswith(KILLS)))
    return [shift for mine in shifts.values() for shift in mine]


def _from_sizes(rows: list[dict[str, Any]], zero: float) -> list[Shift]:
    """The last that came goes first."""
    here, gone = [], []
    for at, row in sorted(((_seconds(_first(row, TIMES), zero), row) for row in rows), key=lambda it: it[0]):
        workers = _first(row, SIZES)
        size = len(workers) if isinstance(workers, list) else int(workers)
        while len(here) > size:
            gone.append(replace(here.pop(), told_to_stop_at=at))
        here += [Shift(at if here or gone else -inf, booted=False)] * (size - len(here))
    return gone + here
