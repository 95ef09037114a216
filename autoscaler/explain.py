"""Shows decisions and status to a person, from a running daemon or from its log."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

from rich.console import Console
from rich.table import Table

from autoscaler.core import record
from autoscaler.core.record import DecisionRecord
from policies.model import Capacity, Demand, Unavailable

TIMEOUT_SECONDS = 5.0
OPENER = build_opener(ProxyHandler({}))
"""A daemon is asked directly: no proxy reaches a loopback address."""


class UnreachableError(Exception):
    """No daemon answered there."""


class BadRecordError(Exception):
    """A log that cannot be read; names file and line."""


def fetch_status(url: str) -> dict[str, Any]:
    """The daemon's `/status`.  Raises `UnreachableError`."""
    document: dict[str, Any] = json.loads(_get(f"{url.rstrip('/')}/status"))
    return document


def fetch_records(url: str, target: str | None, last: int) -> list[DecisionRecord]:
    """The newest decisions of a daemon, oldest first.  Raises `UnreachableError`, `BadRecordError`."""
    query = {"limit": str(last + 1)} | ({"target": target} if target else {})
    address = f"{url.rstrip('/')}/decisions?{urlencode(query)}"
    return _newest(_decisions(address, _get(address).splitlines()), target, last)


def read_records(path: Path, target: str | None, last: int) -> list[DecisionRecord]:
    """The newest decisions of a file, oldest first.

    Whatever is no record is passed over: a daemon's log has other lines too.  Raises `BadRecordError`
    for a record that is broken, and where there is none at all.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            found = _newest(_decisions(str(path), lines), target, last)
    except OSError as error:
        raise BadRecordError(f"{path}: cannot be read: {error.strerror}") from None
    if not found:
        whose = f" of target {target!r}" if target else ""
        raise BadRecordError(f"{path}: there is no decision record{whose} in it")
    return found


def _decisions(place: str, lines: Iterable[str]) -> Iterator[DecisionRecord]:
    for number, line in enumerate(lines, 1):
        try:
            document = json.loads(line)
        except ValueError:
            continue
        document = document.get("record", document) if isinstance(document, dict) else {}
        if not isinstance(document, dict) or document.get("kind") != "decision":
            continue
        try:
            decoded = record.decode(json.dumps(document), line_number=number)
        except record.RecordError as error:
            raise BadRecordError(f"{place}, {error}") from None
        assert isinstance(decoded, DecisionRecord), "its kind says so"
        yield decoded


def _newest(decisions: Iterable[DecisionRecord], target: str | None, last: int) -> list[DecisionRecord]:
    kept: dict[str, deque[DecisionRecord]] = {}
    for decision in decisions:
        if target in {None, decision.target}:
            kept.setdefault(decision.target, deque(maxlen=last)).append(decision)
    return sorted((each for some in kept.values() for each in some), key=lambda each: each.at)


def _get(url: str) -> str:
    try:
        with OPENER.open(url, timeout=TIMEOUT_SECONDS) as answer:
            text: str = answer.read().decode()
            return text
    except HTTPError as error:
        raise UnreachableError(
            f"{url}: {error.code}: {error.read().decode(errors='replace').strip()}"
        ) from None
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UnreachableError(f"no daemon answers at {url}: {reason}; start one, or give --url") from None


def print_decisions(decisions: list[DecisionRecord], *, as_json: bool) -> None:
    """A table a decision: what was seen, then every stage with its reason."""
    if as_json:
        for each in decisions:
            print(record.encode(each))  # noqa: T201 - the command's output
        return
    console = Console(highlight=False, markup=False)
    if not decisions:
        console.print("no decisions yet")
    for each in decisions:
        console.print(_heading(each), style="bold", soft_wrap=True)
        table = Table("stage", "workers", "reason", "note", box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.columns[1].justify = "right"
        for stage in each.decision.trail:
            table.add_row(plain(stage.stage), f"{stage.workers:g}", stage.reason.value, plain(stage.note))
        console.print(table)
        for alarm in each.decision.alarms:
            console.print(f"alarm {alarm.kind.value}: {plain(alarm.note)}", style="bold red")
        console.print()


def _heading(each: DecisionRecord) -> str:
    moment = datetime.fromtimestamp(each.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    match each.observation.demand:
        case Demand() as demand:
            seen = f"{demand.queued:g} queued, {demand.running:g} running"
        case Unavailable(why):
            seen = f"load unknown: {plain(why)}"
    match each.observation.capacity:
        case Capacity() as capacity:
            size = f"{capacity.running} of {capacity.desired} workers run"
        case Unavailable(why):
            size = f"fleet unknown: {plain(why)}"
    desired = each.decision.desired
    write = "writes nothing" if desired is None else f"desired count {desired}"
    return f"{moment}  {plain(each.target)}: {seen}; {size}; {write}"


def plain(text: str) -> str:
    """Without control characters: a log may come from anywhere, and a terminal obeys escapes."""
    return "".join(character if character.isprintable() else "?" for character in text)


def print_status(document: dict[str, Any], *, as_json: bool) -> None:
    """A row a target."""
    if as_json:
        print(json.dumps(document))  # noqa: T201 - the command's output
        return
    console = Console(highlight=False, markup=False)
    console.print(f"mode {document['mode']}", style="bold")
    columns = ("target", "healthy", "queued", "running tasks", "workers", "desired", "decision", "reason")
    table = Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, view in document["targets"].items():
        table.add_row(
            plain(name),
            "yes" if view["healthy"] else "NO",
            *(_cell(view.get(key)) for key in ("queued", "running_tasks", "running", "desired", "decision")),
            plain(str(view["reason"])),
        )
    console.print(table)
    for name, view in document["targets"].items():
        for kind, note in view.get("alarms", {}).items():
            console.print(plain(f"alarm {name} {kind}: {note}"), style="bold red")


def _cell(value: Any) -> str:
    match value:
        case None:
            return "unknown"
        case float() | int():
            return f"{value:g}"
        case _:
            return plain(str(value))
