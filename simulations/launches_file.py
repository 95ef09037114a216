"""A service's own launches, measured: a CSV of seconds, or of `createdAt` and `startedAt` of its tasks."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Final

import numpy as np

from simulations.content import content_of
from simulations.quantiles import Quantiles, measured

MOST_BYTES: Final = 64 * 2**20
MOST_QUANTILES: Final = 1001
"""More measurements are kept as that many quantiles: one in a thousand of the launches apart."""
EXPECTED: Final = "a CSV with a column seconds, or with the columns createdAt and startedAt"


def measured_launches(path: Path) -> Quantiles:
    """The distribution of the launches in the file.

    Columns: `seconds`; or `createdAt` and `startedAt` (Unix seconds, or timestamps, UTC unless they say
    otherwise).  A file of nothing but numbers needs no header.  Rows without a `startedAt` never started:
    they are left out (`never_start_share` is for them).  Raises `ValueError`, which names file and row.
    """
    try:
        text = content_of(path, MOST_BYTES).decode()
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if any(map(str.strip, row))]
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: expected {EXPECTED}, got what is no text: {error}") from None
    if not rows:
        raise ValueError(f"{path}: holds no launch; expected {EXPECTED}")
    header, first = [cell.strip() for cell in rows[0]], 2
    if len(header) == 1 and _number(header[0]) is not None:
        rows, header, first = [["seconds"], *rows], ["seconds"], 1
    seconds = _delays(path, header, rows[1:], first)
    if not seconds:
        raise ValueError(f"{path}: holds no launch that started; expected {EXPECTED}")
    if len(seconds) > MOST_QUANTILES:
        seconds = np.quantile(seconds, np.linspace(0, 1, MOST_QUANTILES)).tolist()
    try:
        return measured(seconds)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _delays(path: Path, header: list[str], rows: Sequence[list[str]], first: int) -> list[float]:
    """In the order of the rows; `first` is the number of the first of them in the file."""
    if "seconds" in header:
        places = [header.index("seconds")]
    elif {"createdAt", "startedAt"} <= set(header):
        places = [header.index("createdAt"), header.index("startedAt")]
    else:
        raise ValueError(f"{path}: expected {EXPECTED}, got {', '.join(header)[:80]}")
    delays = []
    for number, row in enumerate(rows, first):
        cells = [row[place].strip() if place < len(row) else "" for place in places]
        if len(cells) > 1 and not cells[1]:
            continue
        delay = _number(cells[0]) if len(cells) == 1 else _between(*cells)
        if delay is None or delay < 0:
            raise ValueError(f"{path}: row {number}: expected a launch's seconds, got {', '.join(cells)!r}")
        delays.append(delay)
    return delays


def _between(created: str, started: str) -> float | None:
    created_at, started_at = _instant(created), _instant(started)
    return None if created_at is None or started_at is None else started_at - created_at


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def _instant(text: str) -> float | None:
    if (number := _number(text)) is not None:
        return number
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
