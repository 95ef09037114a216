"""How waits are spread, queue by queue: the share of tasks in each span, and the figures beside it."""

from __future__ import annotations

import numpy as np

from policies.model import IntArray
from simulations.report.markup import Markup, joined, tag
from simulations.run import Result
from simulations.slo import Slo
from simulations.waits import Waits, of_ended
from simulations.waits_table import NAMELESS, ROWS_SHOWN, TITLES, groups_of, waits_of
from simulations.words import count, share, span

LIMITS_SECONDS = (1.0, 10.0, 60.0, 300.0, 1800.0)
LABELS = ("under 1 s", "to 10 s", "to 1 min", "to 5 min", "to 30 min", "longer")


def spread(result: Result, kind: str, slo: Slo | None) -> Markup:
    """A table with a bar for each queue, DAG, ...: what `groups_of` knows by `kind`."""
    names, everybody = groups_of(result.trace, kind)
    rows, codes = waits_of([result], kind, slo), of_ended(result, everybody)
    spans = len(LABELS)
    place = np.searchsorted(LIMITS_SECONDS, of_ended(result, result.waited_seconds), side="right")
    counts = np.bincount(codes * spans + place, minlength=len(names) * spans).reshape(-1, spans)
    number = {name: row for row, name in enumerate(names)}
    shown = rows[:ROWS_SHOWN]
    titles = [
        TITLES[kind],
        "tasks",
        "mean",
        "p50",
        "p95",
        "longest",
        *(["missed"] if slo else []),
        "spread of waits",
    ]
    head = tag("tr", *(tag("th", title, scope="col") for title in titles))
    body = [_row(each, NAMELESS[kind], counts[number[each.name]]) for each in shown]
    left = len(rows) - len(shown)
    return joined(
        tag("p", *(_key(place) for place in range(spans)), class_="keys"),
        tag("div", tag("table", tag("thead", head), tag("tbody", *body)), class_="wide"),
        tag("p", tag("small", f"{left:,} more that waited less are not shown.")) if left > 0 else None,
    )


def _row(waits: Waits, nameless: str, counts: IntArray) -> Markup:
    cells = [
        f"{waits.tasks:,}",
        *(
            span(each)
            for each in (waits.mean_seconds, waits.p50_seconds, waits.p95_seconds, waits.max_seconds)
        ),
        *([] if waits.misses is None else [f"{waits.misses:,} ({share(waits.misses, waits.tasks)})"]),
    ]
    return tag(
        "tr",
        tag("th", waits.name or nameless, scope="row"),
        *(tag("td", cell) for cell in cells),
        tag("td", _bar(counts, waits.tasks), class_="bar"),
    )


def _bar(counts: IntArray, tasks: int) -> Markup:
    parts, at = [], 0.0
    for place, number in enumerate(counts.tolist()):
        width = 100 * number / tasks
        if number:
            name = f"{LABELS[place]}: {count(number, 'task')}, {share(number, tasks)}"
            ends = {"x": f"{at:.3f}%", "width": f"{width:.3f}%"}
            parts.append(tag("rect", tag("title", name), y=0, height=14, class_=f"span{place}", **ends))
        at += width
    return tag("svg", *parts, width="100%", height=14, role="img", aria_label="spread of waits")


def _key(place: int) -> Markup:
    shape = tag("rect", x=0, y=0, width=14, height=10, class_=f"span{place}")
    return tag("span", tag("svg", shape, width=14, height=10, aria_hidden="true"), " ", LABELS[place])
