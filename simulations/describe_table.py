"""A trace's description for a person, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from simulations.describe import WEEKDAYS, Description

BARS = "·▁▂▃▄▅▆▇█"
QUEUES_SHOWN = 8


def print_description(description: Description, *, as_json: bool) -> None:
    """Prints it on standard output."""
    if as_json:
        print(json.dumps(description.as_dict(), indent=2))  # noqa: T201
        return
    console = Console(highlight=False)
    console.print(_table(description))
    for problem in description.problems:
        console.print(f"mind: {problem}", soft_wrap=True)


def _table(described: Description) -> Table:
    table = Table(show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    queues = sorted(described.queues.items(), key=lambda item: -item[1])
    rest = queues[QUEUES_SHOWN:]
    rows = [
        ("trace", described.trace),
        ("tasks", f"{described.tasks:,}"),
        ("edges", f"{described.edges:,}"),
        ("starts at", described.starts_at),
        ("arrivals over", f"{described.days:,.2f} d"),
        ("work", f"{described.slot_hours:,.1f} slot-hours"),
        ("duration mean", f"{described.duration_mean_seconds:,.1f} s"),
        *(
            (f"duration {'longest' if name == 'p100' else name}", f"{value:,.1f} s")
            for name, value in described.duration_seconds.items()
        ),
        ("concurrency mean", f"{described.concurrency_mean:,.1f} slots"),
        ("concurrency peak", f"{described.concurrency_peak:,} slots"),
        ("by hour, 00-23 UTC", _sparkline(described.arrivals_by_hour)),
        (f"by weekday, {WEEKDAYS[0]}-{WEEKDAYS[-1]}", _sparkline(described.arrivals_by_weekday)),
        ("burstiness", f"{described.burstiness:,.1f} (1: independent arrivals)"),
        *((f"queue {name or '(default)'}", f"{tasks:,} tasks") for name, tasks in queues[:QUEUES_SHOWN]),
        *((f"{len(rest)} other queues", f"{sum(tasks for _, tasks in rest):,} tasks") for _ in rest[:1]),
    ]
    for row in rows:
        table.add_row(*row)
    return table


def _sparkline(counts: Sequence[int]) -> str:
    highest = max(counts) or 1
    # Whatever is not nothing is seen.
    return "".join(BARS[-(-count * (len(BARS) - 1) // highest)] for count in counts)
