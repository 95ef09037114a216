"""The decision records of a log, line by line, among whatever else is in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

LONGEST_BYTES = 16 * 2**20
"""A record that lists five thousand workers has 2 MB; what is longer than this is no line of a log."""
SHOWN_CHARACTERS = 60

_TARGET = re.compile(rb'"target":\s*"([^"\\]*)"')
_BEGINS = b'{"v":'


@dataclass(frozen=True, slots=True)
class Found:
    """A record, not yet decoded."""

    line: int
    document: Mapping[str, Any]
    """The record itself, without the log line around it."""
    kind: str
    """`start` or `decision`."""
    target: str
    mode: str
    """`act` or `observe` where the log line around it says so, else empty."""


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that should be a record and is none."""

    line: int
    why: str
    target: str | None = None
    """Whose record it was, as far as can be told."""
    cut_off: bool = False
    """It is the log's end, which a writer may be writing or was killed at."""

    def __str__(self) -> str:
        return f"line {self.line}: {self.why}"


@dataclass(frozen=True, slots=True)
class Other:
    """A line of something else."""

    line: int


def found_in(stream: BinaryIO) -> Iterator[Found | Bad | Other]:
    """What each line holds: a bare record, one inside a daemon's log line, a broken one, something else.

    A line in which a record breaks off and a whole one follows (the disk was full, the daemon was
    killed) is both.  No more than a line is in memory.
    """
    for number, line, whole in _lines(stream):
        if line is None:
            yield Bad(number, f"longer than {LONGEST_BYTES // 2**20} MB: expected a record")
            continue
        begin = line.find(b"{")
        if begin < 0:
            yield Other(number)
            continue
        text = line[begin:].decode(errors="replace").rstrip()
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            yield from _broken(number, line, whole=whole)
        else:
            yield _read(number, document)


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None, bool]]:
    """(number, line, whether it has an end); None: it is too long."""
    number = 0
    while line := stream.readline(LONGEST_BYTES):
        number += 1
        if len(line) == LONGEST_BYTES and not line.endswith(b"\n"):
            while (rest := stream.readline(LONGEST_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield number, None, True
        elif line.strip():
            yield number, line, line.endswith(b"\n")


def _read(number: int, document: Any) -> Found | Bad | Other:
    if not isinstance(document, dict):
        return Other(number)
    inside = document.get("record")
    record = inside if isinstance(inside, dict) else document
    if "v" not in record or "kind" not in record:
        return Other(number)
    kind, target = record["kind"], record.get("target")
    if kind not in ("start", "decision") or not isinstance(target, str):
        what = f"{_short(kind)} of {_short(target)}"
        return Bad(number, f"expected a start or a decision of a target, got {what}")
    mode = document.get("mode") if record is not document else ""
    return Found(number, record, kind, target, mode if isinstance(mode, str) else "")


def _broken(number: int, line: bytes, *, whole: bool) -> Iterator[Found | Bad | Other]:
    # Of a text that only mentions braces nobody expects a record.
    if not (line.lstrip().startswith(b"{") or b'"kind"' in line):
        yield Other(number)
        return
    known = _TARGET.search(line)
    target = known[1].decode(errors="replace") if known else None
    again = line.rfind(_BEGINS)
    if again > 0:
        text = line[again:].decode(errors="replace").rstrip()
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            if line.startswith(b"{") or b'"kind"' in line[:again]:
                yield Bad(number, "a record breaks off and another follows", target)
            yield _read(number, document)
            return
    if whole:
        yield Bad(number, f"not JSON: expected a record, got {_short(line.decode(errors='replace'))}", target)
    else:
        yield Bad(number, "the log ends within a record", target, cut_off=True)


def _short(value: object) -> str:
    shown = ascii(value)
    return shown if len(shown) <= SHOWN_CHARACTERS else f"{shown[: SHOWN_CHARACTERS - 3]}..."
