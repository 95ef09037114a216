"""Waits by queue, DAG, pool or run: for a person, and for a script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from simulations.run import Result
from simulations.slo import Slo
from simulations.trace import Trace
from simulations.waits import Codes, Waits, of_ended, waits_by
from simulations.words import share, span

NAMELESS = {"queue": "(default)", "dag": "(no DAG)", "pool": "(default)", "run": "(no run)"}
"""What tasks may be grouped by, and what the empty name of each means."""
TITLES = {"queue": "queue", "dag": "DAG", "pool": "pool", "run": "DAG run"}
ROWS_SHOWN = 25
"""The groups that waited longest together; JSON has them all."""


def groups_of(trace: Trace, kind: str) -> tuple[Sequence[str], Codes]:
    """(names, each task's number in them).  Raises `ValueError` for a kind that is none."""
    if kind not in NAMELESS:
        raise ValueError(f"by: expected {', '.join(NAMELESS)}, got {kind!r}")
    columns: dict[str, tuple[Sequence[str], Codes]] = {
        "queue": (trace.queues, trace.queue),
        "dag": (trace.dags, trace.dag),
        "pool": (trace.pools, trace.pool),
        "run": (trace.runs, trace.run),
    }
    return columns[kind]


def kinds_of(trace: Trace, by: str | None) -> list[str]:
    """What to group by: as asked, or by queue where there are several."""
    if by is not None:
        return [by]
    return ["queue"] if len(trace.queues) > 1 else []


def waits_of(results: Sequence[Result], kind: str, slo: Slo | None) -> list[Waits]:
    """The waits of each queue, DAG, ... of a run, or of several targets side by side.

    Those that waited longest together come first.  Misses count tasks that never ended, too.
    """
    names = groups_of(results[0].trace, kind)[0]  # parts of a trace have all its names
    columns = [groups_of(result.trace, kind)[1] for result in results]
    misses = None
    if slo is not None:
        late = [codes[slo.late(each.promised_waits)] for codes, each in zip(columns, results, strict=True)]
        misses = np.bincount(np.concatenate(late), minlength=len(names))
    codes = np.concatenate([of_ended(each, column) for each, column in zip(results, columns, strict=True)])
    waits = np.concatenate([of_ended(each, each.waited_seconds) for each in results])
    return waits_by(names, codes, waits, misses)


def waits_table(kind: str, rows: Sequence[Waits]) -> Table:
    """The waits for a person."""
    promised = any(row.misses is not None for row in rows)
    table = Table(title=f"waits by {TITLES[kind]}", title_justify="left")
    table.add_column(TITLES[kind], overflow="fold")
    for title in ("tasks", "mean", "p50", "p95", "max", *(["misses"] if promised else [])):
        table.add_column(title, justify="right")
    for row in rows[:ROWS_SHOWN]:
        lengths = (row.mean_seconds, row.p50_seconds, row.p95_seconds, row.max_seconds)
        missed = [] if row.misses is None else [f"{row.misses:,} ({share(row.misses, row.tasks)})"]
        table.add_row(Text(row.name or NAMELESS[kind]), f"{row.tasks:,}", *map(span, lengths), *missed)
    if len(rows) > ROWS_SHOWN:
        table.caption = f"{len(rows) - ROWS_SHOWN:,} more that waited less; --json has them all."
    return table


def waits_document(
    results: Sequence[Result], by: str | None, slo: Slo | None
) -> dict[str, list[dict[str, Any]]]:
    """For JSON: by queue, by DAG where DAGs are known, and as asked; every group."""
    kinds = ["queue", *(["dag"] if len(results[0].trace.dags) > 1 else [])]
    if by is not None and by not in kinds:
        kinds.append(by)
    return {kind: [row.as_dict() for row in waits_of(results, kind, slo)] for kind in kinds}
