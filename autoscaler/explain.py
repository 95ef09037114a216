"""Shows decisions and status to a person, from a running daemon or from its log."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlencode

from rich.console import Console
from rich.table import Table

from autoscaler.asking import UnreachableError, document_at, text_at
from autoscaler.core import record
from autoscaler.core.plain import plain
from autoscaler.core.record import DecisionRecord
from autoscaler.orders.words import in_words
from policies.model import Capacity, Demand, Unavailable

LONGEST_BYTES = 16 * 2**20
"""Of a line; a record that lists five thousand workers has 2 MB."""


class BadRecordError(Exception):
    """A log that cannot be read; names file and line."""


def fetch_status(url: str) -> dict[str, Any]:
    """The daemon's `/status`.  Raises `UnreachableError`."""
    return _of_targets(f"{url.rstrip('/')}/status")


def order(url: str, kind: str, body: dict[str, Any], token: str) -> dict[str, Any]:
    """Gives a daemon an order; what stands then.  Raises `UnreachableError`."""
    return _of_targets(f"{url.rstrip('/')}/{kind}", json.dumps(body).encode(), token)


def _of_targets(address: str, *order: Any) -> dict[str, Any]:
    document = document_at(address, *order)
    targets = document.get("targets")
    if not isinstance(targets, dict) or not all(isinstance(view, dict) for view in targets.values()):
        raise UnreachableError(f"{address}: no answer about targets; is it an autoscaler's address?")
    return document


def fetch_records(url: str, target: str | None, last: int) -> list[DecisionRecord]:
    """The newest decisions of a daemon, oldest first.  Raises `UnreachableError`, `BadRecordError`."""
    query = {"limit": str(last + 1)} | ({"target": target} if target else {})
    address = f"{url.rstrip('/')}/decisions?{urlencode(query)}"
    return _newest(_decisions(plain(address), text_at(address).splitlines()), target, last)


def read_records(path: Path, target: str | None, last: int) -> list[DecisionRecord]:
    """The newest decisions of a file, oldest first.

    Whatever is no record is passed over: a daemon's log has other lines too.  Raises `BadRecordError`
    for a record that is broken, and where there is none at all.
    """
    try:
        with path.open("rb") as file:
            found = _newest(_decisions(str(path), _lines(path, file)), target, last)
    except OSError as error:
        raise BadRecordError(f"{path}: cannot be read: {error.strerror}") from None
    if not found:
        whose = f" of target {target!r}" if target else ""
        raise BadRecordError(f"{path}: there is no decision record{whose} in it")
    return found


def _lines(path: Path, file: BinaryIO) -> Iterator[str]:
    for number in count(1):
        line = file.readline(LONGEST_BYTES)
        if len(line) == LONGEST_BYTES:
            raise BadRecordError(f"{path}, line {number}: longer than {LONGEST_BYTES // 2**20} MB")
        if not line:
            return
        yield line.decode(errors="replace")


def _decisions(place: str, lines: Iterable[str]) -> Iterator[DecisionRecord]:
    for number, line in enumerate(lines, 1):
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
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
        for line in in_words(each.observation.orders):
            console.print(plain(f"ordered: {line}"), style="yellow", soft_wrap=True)
        table = Table("stage", "workers", "reason", "note", box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.columns[1].justify = "right"
        for stage in each.decision.trail:
            table.add_row(plain(stage.stage), f"{stage.workers:g}", stage.reason.value, plain(stage.note))
        console.print(table)
        for alarm in each.decision.alarms:
            console.print(f"alarm {alarm.kind.value}: {plain(alarm.note)}", style="bold red")
        console.print()


def _heading(each: DecisionRecord) -> str:
    try:
        moment = datetime.fromtimestamp(each.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        moment = f"at {each.at:g}"
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


def print_status(document: dict[str, Any], *, as_json: bool) -> None:
    """A row a target."""
    if as_json:
        print(json.dumps(document))  # noqa: T201 - the command's output
        return
    console = Console(highlight=False, markup=False)
    heading = f"mode {document.get('mode')}{_lease_text(document.get('lease'))}"
    console.print(plain(heading), style="bold", soft_wrap=True)
    columns = ("target", "healthy", "queued", "running tasks", "workers", "desired", "decision", "reason")
    table = Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, view in document["targets"].items():
        table.add_row(
            plain(name),
            "yes" if view.get("healthy") else "NO",
            *(_cell(view.get(key)) for key in ("queued", "running_tasks", "running", "desired", "decision")),
            plain(str(view.get("reason"))),
        )
    if document["targets"]:  # a stand-by has none
        console.print(table)
    for name, view in document["targets"].items():
        if "budget" in view:
            console.print(plain(f"budget {name}: {view['budget']}"), soft_wrap=True)
        for line in _ordered(view):
            console.print(plain(f"ordered {name}: {line}"), style="yellow", soft_wrap=True)
        alarms = view.get("alarms")
        for kind, note in alarms.items() if isinstance(alarms, dict) else ():
            console.print(plain(f"alarm {name} {kind}: {note}"), style="bold red")


def print_orders(document: dict[str, Any], *, as_json: bool) -> None:
    """A line an order that stands now."""
    if as_json:
        print(json.dumps(document))  # noqa: T201 - the command's output
        return
    for name, view in document["targets"].items():
        for line in _ordered(view) or ["no orders"]:
            print(plain(f"{name}: {line}"))  # noqa: T201


def _ordered(view: dict[str, Any]) -> list[Any]:
    lines = view.get("ordered")
    return lines if isinstance(lines, list) else []


def _lease_text(lease: Any) -> str:
    match lease:
        case {"acts": True, "epoch": epoch} if epoch:
            return f", leads with epoch {epoch}"
        case {"acts": False, "why": why} if why:
            return f", stands by: {why}"
        case {"acts": False, "leader": leader}:
            return f", stands by: {leader or 'another daemon'} leads"
    return ""


def _cell(value: Any) -> str:
    match value:
        case None:
            return "unknown"
        case float() | int():
            return f"{value:g}"
        case _:
            return plain(str(value))
