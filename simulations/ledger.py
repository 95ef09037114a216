"""Finished runs in a file, a JSON line each, so that an interrupted search goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from simulations.candidate import Candidate, Outcome
from simulations.trace import Trace

VERSION = 1


class LedgerError(ValueError):
    """A file of results that cannot be used; says which and what to do."""


def fingerprint(trace: Trace) -> str:
    """Equal for equal traces, whatever file they come from."""
    digest = hashlib.sha256(repr(trace.starts_at).encode())
    for field in fields(trace):
        column = getattr(trace, field.name)
        if isinstance(column, np.ndarray):
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:16]


def seed_in(path: Path) -> int | None:
    """The seed with which the file was begun; None: there is no such file, or nothing in it yet."""
    if not path.exists():
        return None
    rows = _rows(path)
    return int(rows[0]["seed"]) if rows else None


class Ledger:
    """Opens or continues a file.  Raises `LedgerError` if it is another search's, or none."""

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        """`about`: what all runs of the file have in common; its seed, trace, service."""
        self.done: dict[tuple[str, int], Outcome] = {}
        head = {"v": VERSION, **about}
        rows = _rows(path) if path.exists() else []
        if rows:
            _check_same(path, rows[0], head)
        try:
            self._file = path.open("r+b" if rows else "wb")
        except OSError as error:
            raise LedgerError(f"{path}: cannot be written: {error.strerror}") from None
        if rows:
            for row in rows[1:]:
                self._remember(row)
            # The end of a line that was being written when the last search was killed.
            self._file.seek(self._file.read().rfind(b"\n") + 1)
            self._file.truncate()
        else:
            self._write(head)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, candidate: Candidate, outcome: Outcome) -> None:
        """Writes one run; what is written stays, whatever happens to this process."""
        ending = {"error": outcome.error} if outcome.error else {"figures": outcome.figures}
        row = {"key": outcome.key, "seed": outcome.seed, "setting": candidate.setting, **ending}
        self._write(row)
        self._remember(row)

    def _write(self, row: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(row).encode() + b"\n")
        self._file.flush()

    def _remember(self, row: Mapping[str, Any]) -> None:
        outcome = Outcome(row["key"], row["seed"], row.get("figures", {}), error=row.get("error", ""))
        self.done[outcome.key, outcome.seed] = outcome


def _rows(path: Path) -> list[dict[str, Any]]:
    """All whole lines; the first is the head."""
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise LedgerError(f"{path}: cannot be read: {error.strerror}") from None
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            known = {"v", "seed"} if number == 1 else {"key", "seed"}
            whole = isinstance(row, dict) and known <= row.keys()
        except ValueError:
            whole = False
        if not whole:
            raise LedgerError(f"{path}: line {number} is not a sweep's result; give another file with --out")
        rows.append(row)
    return rows


def _check_same(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            raise LedgerError(
                f"{path}: was begun with {name} {found.get(name)}, now it is {wanted.get(name)}; "
                "give another file with --out"
            )
