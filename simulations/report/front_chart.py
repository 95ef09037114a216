"""Cost against wait: every setting that was tried, the front, and the chosen one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import log10

from simulations.front import pareto
from simulations.report import axes
from simulations.report.markup import Markup, joined, tag
from simulations.slo import Slo
from simulations.words import span, usd

MOST_POINTS = 1_500
"""More cannot be told apart; the front stays whole."""
ROWS_SHOWN = 40
PLOT_SHARE = 0.88
_Place = Callable[[float], str]
"""Where on an axis a value is, in percent."""
RADIUS_PIXELS = {"chosen": 8, "front": 5, "beaten": 3}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting and what it came to."""

    label: str
    cost_usd: float
    wait_p95_seconds: float
    worker_hours: float
    kept: bool | None = None
    """Whether it kept the promise; None: nothing was promised."""
    chosen: bool = False


def front_chart(settings: Sequence[Setting], slo: Slo | None = None) -> Markup:
    """A picture of all settings, and a table of the front, the cheapest first."""
    ordered = sorted(settings, key=lambda each: (each.cost_usd, each.wait_p95_seconds))
    marks = pareto([(each.cost_usd, each.wait_p95_seconds) for each in ordered])
    front = [each for each, best in zip(ordered, marks, strict=True) if best]
    beaten = [each for each, best in zip(ordered, marks, strict=True) if not best]
    step = 1 + len(beaten) // MOST_POINTS
    thinned = [each for number, each in enumerate(beaten) if each.chosen or number % step == 0]
    return joined(_picture(front, thinned, slo), _table(front, ordered))


def _picture(front: Sequence[Setting], beaten: Sequence[Setting], slo: Slo | None) -> Markup:
    everything = [*beaten, *front]
    costs = [each.cost_usd for each in everything]
    low, high = min(costs), max(costs)
    margin = 0.05 * (high - low) or 0.05 * high or 1.0
    low, high = max(0.0, low - margin), high + margin
    limit = slo.limit_seconds if slo is not None and slo.share == 0.95 else 0.0
    top = log10(1 + max(10.0, limit, *(each.wait_p95_seconds for each in everything))) * 1.08

    def x(cost: float) -> str:
        return f"{100 * (cost - low) / (high - low):.2f}%"

    def y(place: float) -> str:
        return f"{100 * PLOT_SHARE * (1 - place / top):.2f}%"

    points = sorted(everything, key=lambda each: each.chosen)
    kinds = {id(each): "front" for each in front}
    marks = [
        _point(each, x(each.cost_usd), y(log10(1 + each.wait_p95_seconds)), kinds.get(id(each), "beaten"))
        for each in points
    ]
    picture = tag(
        "svg",
        tag("g", *_levels(top, y), class_="levels"),
        tag("g", *_costs(low, high, x), class_="instants"),
        tag("line", x1="0", x2="100%", y1=y(log10(1 + limit)), y2=y(log10(1 + limit)), class_="promise line")
        if limit
        else None,
        *marks,
        class_="chart",
        width="100%",
        height=360,
        role="img",
        aria_label="cost against wait",
    )
    keys = [
        _key("chosen", "the chosen one") if any(each.chosen for each in everything) else None,
        _key("front", "on the front: none is cheaper with as short a wait"),
        _key("beaten", "beaten in both"),
    ]
    title = tag("strong", "Cost of the trace against wait")
    unit = tag("small", "(across: US$; up: the wait that 95 % of the tasks do not exceed)")
    return tag("figure", tag("figcaption", title, " ", unit, tag("p", *keys, class_="keys")), picture)


def _point(setting: Setting, x: str, y: str, kind: str) -> Markup:
    kind = "chosen" if setting.chosen else kind
    wait = span(setting.wait_p95_seconds)
    name = tag("title", f"{setting.label}: {usd(setting.cost_usd)}, 95 % wait at most {wait}")
    return tag("circle", name, cx=x, cy=y, r=RADIUS_PIXELS[kind], class_=kind)


def _levels(top: float, y: _Place) -> Iterator[Markup]:
    for place, label in axes.waits(10**top - 1):
        at = y(place)
        yield joined(tag("line", x1="0", x2="100%", y1=at, y2=at), tag("text", label, x=3, y=at, dy="-3"))


def _costs(low: float, high: float, x: _Place) -> Iterator[Markup]:
    for cost, label in axes.linear(high, most=8):
        if cost >= low:
            yield tag("text", f"${label}", x=x(cost), y="100%", dy="-8", text_anchor="middle")


def _key(kind: str, label: str) -> Markup:
    shape = tag("circle", cx=8, cy=8, r=RADIUS_PIXELS[kind], class_=kind)
    return tag("span", tag("svg", shape, width=17, height=17, aria_hidden="true"), " ", label)


def _table(front: Sequence[Setting], ordered: Sequence[Setting]) -> Markup:
    shown = front[:ROWS_SHOWN]
    rows = [*shown, *(each for each in ordered if each.chosen and each not in shown)]
    promised = any(each.kept is not None for each in rows)
    titles = ("setting", "cost", "95 % wait at most", "worker-hours", *(["promise"] if promised else []))
    head = tag("tr", *(tag("th", title, scope="col") for title in titles))
    body = [
        tag(
            "tr",
            tag("th", each.label + (" (chosen)" if each.chosen else ""), scope="row"),
            tag("td", usd(each.cost_usd)),
            tag("td", span(each.wait_p95_seconds)),
            tag("td", f"{each.worker_hours:,.1f}"),
            tag("td", "kept" if each.kept else "broken") if promised else None,
            class_="chosen" if each.chosen else None,
        )
        for each in rows
    ]
    left = len(front) - len(shown)
    return joined(
        tag("p", f"The front, the cheapest first, of {len(ordered):,} settings:"),
        tag("div", tag("table", tag("thead", head), tag("tbody", *body)), class_="wide"),
        tag("p", tag("small", f"{left:,} more are on the front.")) if left > 0 else None,
    )
