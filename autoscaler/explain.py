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
from urllib.request import urlopen

from rich.console import Console
from rich.table import Table

TIMEOUT_SECONDS = 5.0


class UnreachableError(Exception):
    """No daemon answered there."""


class BadRecordError(Exception):
    """A log that cannot be read; names file and line."""


def fetch_status(url: str) -> dict[str, Any]:
    """The daemon's `/status`.  Raises `UnreachableError`."""
    document: dict[str, Any] = json.loads(_get(f"{url.rstrip('/')}/status"))
    return document


def fetch_records(url: str, target: str | None, last: int) -> list[dict[str, Any]]:
    """The newest decision records of a daemon.  Raises `UnreachableError`."""
    query = {"limit": str(last + 1)} | ({"target": target} if target else {})
    lines = _get(f"{url.rstrip('/')}/decisions?{urlencode(query)}").splitlines()
    return _newest((json.loads(line) for line in lines), target, last)


def read_records(path: Path, target: str | None, last: int) -> list[dict[str, Any]]:
    """The newest decision records of a file; other log lines are passed over.  Raises `BadRecordError`."""
    try:
        with path.open(encoding="utf-8") as lines:
            return _newest(_parsed(path, lines), target, last)
    except (OSError, UnicodeDecodeError) as error:
        raise BadRecordError(f"{path}: cannot be read: {error}") from None


def _parsed(path: Path, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except json.JSONDecodeError as error:
            raise BadRecordError(
                f"{path}, line {number}: not JSON: {error.msg}; expected a decision record"
            ) from None
        if isinstance(document, dict):
            yield document.get("record", document)


def _newest(documents: Iterable[dict[str, Any]], target: str | None, last: int) -> list[dict[str, Any]]:
    decisions: dict[str, deque[dict[str, Any]]] = {}
    for document in documents:
        if document.get("kind") == "decision" and target in {None, document["target"]}:
            decisions.setdefault(document["target"], deque(maxlen=last)).append(document)
    return sorted((record for kept in decisions.values() for record in kept), key=lambda record: record["at"])


def _get(url: str) -> str:
    try:
        with urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - an address the user gave
            text: str = answer.read().decode()
            return text
    except HTTPError as error:
        raise UnreachableError(
            f"{url}: {error.code}: {error.read().decode(errors='replace').strip()}"
        ) from None
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UnreachableError(f"no daemon answers at {url}: {reason}; start one, or give --url") from None


def print_decisions(records: list[dict[str, Any]], *, as_json: bool) -> None:
    """A table a decision: what was seen, then every stage with its reason."""
    if as_json:
        for record in records:
            print(json.dumps(record))  # noqa: T201 - the command's output
        return
    console = Console(highlight=False)
    if not records:
        console.print("no decisions yet")
    for record in records:
        console.print(_heading(record), style="bold")
        table = Table("stage", "workers", "reason", "note", box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.columns[1].justify = "right"
        for stage in record["decision"]["trail"]:
            workers = stage["workers"]
            shown = f"{workers:g}" if isinstance(workers, int | float) else str(workers)
            table.add_row(stage["stage"], shown, stage["reason"], stage["note"])
        console.print(table)
        for alarm in record["decision"].get("alarms") or ():
            console.print(f"alarm {alarm['kind']}: {alarm['note']}", style="bold red")
        console.print()


def _heading(record: dict[str, Any]) -> str:
    moment = datetime.fromtimestamp(record["at"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    demand, capacity = record["observation"]["demand"], record["observation"]["capacity"]
    seen = (
        f"load unknown: {demand['why']}"
        if "why" in demand
        else f"{demand['queued']:g} queued, {demand['running']:g} running"
    )
    size = (
        f"fleet unknown: {capacity['why']}"
        if "why" in capacity
        else f"{capacity['running']} of {capacity['desired']} workers run"
    )
    desired = record["decision"]["desired"]
    write = "writes nothing" if desired is None else f"desired count {desired}"
    return f"{moment}  {record['target']}: {seen}; {size}; {write}"


def print_status(document: dict[str, Any], *, as_json: bool) -> None:
    """A row a target."""
    if as_json:
        print(json.dumps(document))  # noqa: T201 - the command's output
        return
    console = Console(highlight=False)
    console.print(f"mode {document['mode']}", style="bold")
    columns = ("target", "healthy", "queued", "running tasks", "workers", "desired", "decision", "reason")
    table = Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, view in document["targets"].items():
        table.add_row(
            name,
            "yes" if view["healthy"] else "NO",
            *(_cell(view.get(key)) for key in ("queued", "running_tasks", "running", "desired", "decision")),
            view["reason"],
        )
    console.print(table)
    for name, view in document["targets"].items():
        for kind, note in view.get("alarms", {}).items():
            console.print(f"alarm {name} {kind}: {note}", style="bold red")


def _cell(value: Any) -> str:
    match value:
        case None:
            return "unknown"
        case float() | int():
            return f"{value:g}"
        case _:
            return str(value)
