"""Orders in words and as plain values, for whoever looks: status, log, explain."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite
from typing import Any

from policies.orders import Orders, Override, Pause, Way

WAYS = {Way.BOTH: "out and in", Way.IN: "in", Way.OUT: "out"}


def in_words(orders: Orders | None) -> list[str]:
    """A line an order: `paused, in, until 2026-11-20 21:00:00 UTC, by anna: database upgrade`."""
    lines = []
    if orders is not None and (pause := orders.pause) is not None:
        lines.append(f"paused, {WAYS[pause.way]}, {_ending(pause)}")
    if orders is not None and (override := orders.override) is not None:
        lines.append(f"{_bounds(override)}, {_ending(override)}")
    return lines


def as_values(orders: Orders | None) -> dict[str, Any]:
    """Plain values, an entry an order; infinity is None."""
    values: dict[str, Any] = {}
    if orders is not None and (pause := orders.pause) is not None:
        values["pause"] = {"way": pause.way.value, **_common(pause)}
    if orders is not None and (override := orders.override) is not None:
        bounds = {"min_workers": override.minimum, "max_workers": override.maximum}
        values["override"] = bounds | _common(override)
    return values


def _common(order: Pause | Override) -> dict[str, Any]:
    until = order.until if isfinite(order.until) else None
    return {"given_at": order.given_at, "until": until, "by": order.by, "why": order.why}


def _bounds(override: Override) -> str:
    named = (("at least", override.minimum), ("at most", override.maximum))
    said = [f"{words} {workers}" for words, workers in named if workers is not None]
    return f"{' and '.join(said) or 'no other bounds'} workers"


def _ending(order: Pause | Override) -> str:
    by = f", by {order.by}" if order.by else ""
    return f"{_until(order.until)}{by}{f': {order.why}' if order.why else ''}"


def _until(until: float) -> str:
    if not isfinite(until):
        return "until it is resumed"
    try:
        moment = datetime.fromtimestamp(until, UTC)
    except (ValueError, OverflowError, OSError):  # a record from anywhere may say anything
        return f"until {until:g}"
    return f"until {moment:%Y-%m-%d %H:%M:%S} UTC"
