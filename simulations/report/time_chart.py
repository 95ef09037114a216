"""Load, workers and waits over time: three pictures in one scale of time, whole without any script.

A chart's lines live in an inner picture whose units are (bin, value), stretched to fit; a script zooms
by choosing another part of it, and reads the numbers under the pointer from the data block.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np

from policies.model import FloatArray
from simulations.report import axes
from simulations.report.axes import Tick
from simulations.report.markup import Markup, data_block, joined, tag
from simulations.report.timeline import WAIT_BINS_EVERY, Series, Timeline
from simulations.slo import Slo

PLOT_SHARE = 0.88
"""Of a chart's height; the labels of the time are below."""
HEADROOM = 1.08
"""Between the highest value and the edge, so that its label has room."""
DIGITS = 4


@dataclass(frozen=True, slots=True)
class _Layer:
    """A line or an area of a chart."""

    name: str
    """What the legend calls it."""
    style: str
    path: str


def time_chart(line: Timeline, slo: Slo | None) -> Markup:
    """The section's inside: three charts, their legends, and the data for the script."""
    limit = slo.limit_seconds if slo is not None else 0.0
    top_load = _top(line.load, line.ready, scale=line.slots_per_worker)
    top_workers = _top(line.desired, line.ready, line.pending)
    longest = float(np.nanmax(line.waits.highest, initial=1.0))
    top_wait = float(axes.log_wait(np.array(max(longest, 2 * limit, 10.0)))) * HEADROOM
    waits = _chart(line, "waits", _wait_layers(line, slo), top_wait, axes.waits(10**top_wait - 1))
    return tag(
        "div",
        _toolbar(),
        _figure(
            "Load and slots",
            f"slots; a worker has {line.slots_per_worker}",
            _load_layers(line),
            _chart(line, "load", _load_layers(line), top_load, axes.linear(top_load / HEADROOM)),
        ),
        _figure(
            "Workers",
            "workers",
            _worker_layers(line),
            _chart(line, "workers", _worker_layers(line), top_workers, axes.linear(top_workers / HEADROOM)),
        ),
        _figure("Waits", "time in the queue, by when a task was queued", _wait_layers(line, slo), waits),
        data_block("numbers", _data(line)),
        class_="timeline",
    )


def _top(*series: Series, scale: float = 1.0) -> float:
    first, *others = (float(each.highest.max()) for each in series)
    return max(first, *(scale * other for other in others), 1.0) * HEADROOM


def _load_layers(line: Timeline) -> list[_Layer]:
    slots = line.ready.mean * line.slots_per_worker
    return [
        _Layer("queued (mean)", "queued area", _area(line.load.mean)),
        _Layer("running (mean)", "running area", _area(line.running.mean)),
        _Layer("load, highest", "peak line", _steps(line.load.highest)),
        _Layer("slots of ready workers (mean)", "slots line", _steps(slots)),
    ]


def _worker_layers(line: Timeline) -> list[_Layer]:
    return [
        _Layer("on their way (mean)", "pending area", _area(line.ready.mean + line.pending.mean)),
        _Layer("ready (mean)", "running area", _area(line.ready.mean)),
        _Layer(
            "desired, lowest to highest", "desired band", _band(line.desired.lowest, line.desired.highest)
        ),
        _Layer("desired (mean)", "slots line", _steps(line.desired.mean)),
    ]


def _wait_layers(line: Timeline, slo: Slo | None) -> list[_Layer]:
    p50, p95 = line.waits.quantiles
    layers = [
        _Layer("half waited at most", "p50 area", _area(axes.log_wait(np.nan_to_num(p50)), WAIT_BINS_EVERY)),
        _Layer("longest", "longest line", _dashes(line.waits.highest)),
        _Layer("95 % waited at most", "p95 line", _dashes(p95)),
    ]
    if slo is not None:
        level = _short(float(axes.log_wait(np.array(slo.limit_seconds))))
        layers.append(_Layer(f"promise: {slo.text}", "promise line", f"M0 {level}H{line.bins}"))
    return layers


def _steps(values: FloatArray, every: int = 1) -> str:
    """A staircase; nothing is said twice."""
    first, *others = map(_short, values.tolist())
    parts, before = [f"M0 {first}"], first
    for number, text in enumerate(others, 1):
        if text != before:
            parts.append(f"H{number * every}V{text}")
            before = text
    return "".join(parts) + f"H{len(values) * every}"


def _dashes(seconds: FloatArray) -> str:
    """A dash a bin: waits jump so much that lines up and down would be all that is seen."""
    return "".join(
        f"M{number * WAIT_BINS_EVERY} {_short(place)}h{WAIT_BINS_EVERY}"
        for number, place in enumerate(axes.log_wait(seconds).tolist())
        if not isnan(place)
    )


def _area(values: FloatArray, every: int = 1) -> str:
    return f"M0 0V{_short(float(values[0]))}{_after_start(_steps(values, every))}V0Z"


def _after_start(path: str) -> str:
    """A staircase without its first M."""
    return path[path.index("H") :]


def _band(lowest: FloatArray, highest: FloatArray) -> str:
    """What lies between, as one closed way for each bin where there is something."""
    return "".join(
        f"M{number} {_short(low)}V{_short(high)}h1V{_short(low)}Z"
        for number, (low, high) in enumerate(zip(lowest.tolist(), highest.tolist(), strict=True))
        if high > low
    )


def _short(value: float) -> str:
    """Enough digits for a screen."""
    return f"{value:.{DIGITS}g}" if abs(value) < 10**DIGITS else f"{value:.0f}"


def _chart(line: Timeline, name: str, layers: Sequence[_Layer], top: float, ticks: Iterable[Tick]) -> Markup:
    plot = tag(
        "svg",
        tag("g", *(_path(layer) for layer in layers), transform="scale(1 -1)"),
        class_="plot",
        width="100%",
        height=_percent(PLOT_SHARE),
        viewBox=f"0 {-top:.6g} {line.bins} {top:.6g}",
        preserveAspectRatio="none",
    )
    return tag(
        "svg",
        plot,
        tag("g", *(_level(value / top, label) for value, label in ticks), class_="levels"),
        tag("g", *_instants(line), class_="instants"),
        class_="chart",
        data_chart=name,
        width="100%",
        height=240,
        role="img",
        aria_label=f"{name} over time",
    )


def _path(layer: _Layer) -> Markup:
    return tag("path", d=layer.path, class_=layer.style, vector_effect="non-scaling-stroke")


def _level(height: float, label: str) -> Markup:
    """A line across, its name on it."""
    y = _percent((1 - height) * PLOT_SHARE)
    return joined(tag("line", x1="0", x2="100%", y1=y, y2=y), tag("text", label, x=3, y=y, dy="-3"))


def _instants(line: Timeline) -> Iterable[Markup]:
    length = line.ends_at - line.starts_at
    for at, label in axes.time(line.starts_at, line.ends_at):
        x = _percent((at - line.starts_at) / length)
        yield joined(
            tag("line", x1=x, x2=x, y1="0", y2=_percent(PLOT_SHARE)),
            tag("text", label, x=x, y="100%", dy="-8", dx="3"),
        )


def _percent(part: float) -> str:
    return f"{100 * part:.4g}%"


def _figure(title: str, unit: str, layers: Sequence[_Layer], chart: Markup) -> Markup:
    keys = [
        tag("span", tag("svg", _swatch(layer), width=18, height=10, aria_hidden="true"), " ", layer.name)
        for layer in reversed(layers)
    ]
    caption = tag(
        "figcaption", tag("strong", title), " ", tag("small", f"({unit})"), tag("p", *keys, class_="keys")
    )
    return tag("figure", caption, chart, class_="zooms")


def _swatch(layer: _Layer) -> Markup:
    if layer.style.endswith("line"):
        return tag("path", d="M0 5H18", class_=layer.style)
    return tag("path", d="M0 0H18V10H0Z", class_=layer.style)


def _toolbar() -> Markup:
    """Shown by the script, which does what it says."""
    buttons = ("in", "Zoom in"), ("out", "Zoom out"), ("earlier", "Earlier"), ("later", "Later")
    return tag(
        "div",
        *(
            tag("button", label, type="button", data_zoom=name)
            for name, label in (*buttons, ("whole", "Whole run"))
        ),
        tag("output", "Drag over a picture to zoom in; times are UTC.", class_="reading"),
        class_="toolbar",
        hidden="",
    )


def _data(line: Timeline) -> dict[str, object]:
    waits = line.waits
    return {
        "start": line.starts_at,
        "seconds": line.bin_seconds,
        "bins": line.bins,
        "waitEvery": WAIT_BINS_EVERY,
        "slots": line.slots_per_worker,
        "share": PLOT_SHARE,
        "headroom": HEADROOM,
        "load": _columns(line.load),
        "running": _columns(line.running),
        "ready": _columns(line.ready),
        "pending": _columns(line.pending),
        "desired": _columns(line.desired),
        "waits": {
            "tasks": waits.tasks.tolist(),
            "p50": _numbers(waits.quantiles[0]),
            "p95": _numbers(waits.quantiles[1]),
            "highest": _numbers(waits.highest),
        },
    }


def _columns(series: Series) -> dict[str, list[float | None]]:
    return {name: _numbers(getattr(series, name)) for name in ("lowest", "mean", "highest")}


def _numbers(values: FloatArray) -> list[float | None]:
    """Short, and null where there is nothing."""
    kept: list[float | None] = []
    for value in values.tolist():
        rounded = None if isnan(value) else float(_short(value))
        kept.append(int(rounded) if rounded is not None and rounded.is_integer() else rounded)
    return kept
